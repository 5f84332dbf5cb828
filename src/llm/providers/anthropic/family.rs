//! What a model takes, told by its family and version.

/// Returns whether the model refuses `temperature`: Opus from 4.7 on, and the families that came after it (pydantic-ai,
/// `profiles/anthropic.py`). What younger models refuse is learned from their refusal.
pub(super) fn refuses_temperature(model: &str) -> bool {
    let Some(name) = model.strip_prefix("claude-") else {
        return false;
    };
    let (family, version) = name.split_once('-').unwrap_or((name, ""));
    match family {
        "opus" => self::version(version) >= (4, 7),
        "fable" | "mythos" => true,
        _ => false,
    }
}

/// Reads `4-7` and `5`; what follows may be a date.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split(['-', '.', '@']).map(|part| part.parse().ok());
    let mut next = || {
        let part = parts.next().flatten();
        part.filter(|part| *part < 100).unwrap_or(0)
    };
    (next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_and_dates_are_none() {
        for model in [
            "claude-opus-4-7",
            "claude-opus-4-10-20270101",
            "claude-opus-5",
            "claude-opus-6-20280101",
            "claude-fable-5",
            "claude-mythos-preview",
        ] {
            assert!(refuses_temperature(model), "{model}");
        }
        for model in [
            "claude-opus-4-5",
            "claude-opus-4-20250514",
            "claude-3-opus-20240229",
            "claude-haiku-4-5",
            "claude-sonnet-4-6",
            "claude",
        ] {
            assert!(!refuses_temperature(model), "{model}");
        }
    }
}
