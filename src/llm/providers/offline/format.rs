//! Texts in the forms that JSON Schema's `format` names.

use super::text::Scribe;

/// Writes a text in this form, or returns `None` for a form that means nothing here and so asks nothing.
pub(super) fn write(format: &str, scribe: &mut Scribe) -> Option<String> {
    Some(match format {
        "date" => date(scribe),
        "date-time" => format!("{}T{}", date(scribe), time(scribe)),
        "time" => time(scribe),
        "duration" => duration(scribe),
        "email" | "idn-email" => email(scribe),
        "hostname" | "idn-hostname" => hostname(scribe),
        "ipv4" => {
            let random = &mut scribe.random;
            // The private network 10.0.0.0/8: an invented address must belong to nobody.
            let mut byte = || random.below(256);
            format!("10.{}.{}.{}", byte(), byte(), byte())
        }
        "ipv6" => {
            let random = &mut scribe.random;
            // 2001:db8::/32 is set aside for documentation.
            let mut group = || random.below(0x1_0000);
            format!(
                "2001:db8:{:x}:{:x}:{:x}::{:x}",
                group(),
                group(),
                group(),
                group()
            )
        }
        "uri" | "url" | "iri" => {
            format!("https://{}/{}", hostname(scribe), path(scribe))
        }
        "uri-reference" | "iri-reference" => format!("/{}", path(scribe)),
        "uri-template" => format!("https://{}/{{{}}}", hostname(scribe), scribe.slug()),
        "uuid" => uuid(scribe),
        "json-pointer" => format!("/{}/{}", scribe.slug(), scribe.random.below(100)),
        "relative-json-pointer" => format!("{}/{}", scribe.random.below(10), scribe.slug()),
        "regex" => format!(
            "^{}[0-9]{{1,{}}}$",
            scribe.words("noun_word"),
            2 + scribe.random.below(9)
        ),
        _ => return None,
    })
}

fn date(scribe: &mut Scribe) -> String {
    let random = &mut scribe.random;
    // Day 28 exists in every month.
    let (year, month, day) = (
        1990 + random.below(36),
        1 + random.below(12),
        1 + random.below(28),
    );
    format!("{year}-{month:02}-{day:02}")
}

fn time(scribe: &mut Scribe) -> String {
    let random = &mut scribe.random;
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    format!("{hour:02}:{minute:02}:{second:02}Z")
}

fn duration(scribe: &mut Scribe) -> String {
    let random = &mut scribe.random;
    let (days, hours, minutes) = (1 + random.below(30), random.below(24), random.below(60));
    format!("P{days}DT{hours}H{minutes}M")
}

fn email(scribe: &mut Scribe) -> String {
    let (first, last) = (scribe.words("first_name"), scribe.words("last_name"));
    let (number, end) = (scribe.random.below(100), scribe.words("domain_end"));
    format!("{first}.{last}{number}@{end}").to_ascii_lowercase()
}

fn hostname(scribe: &mut Scribe) -> String {
    let (first, second) = (scribe.words("noun_word"), scribe.words("noun_word"));
    format!("{first}-{second}.{}", scribe.words("domain_end"))
}

fn path(scribe: &mut Scribe) -> String {
    let (folder, page) = (scribe.words("noun_word"), scribe.words("noun_word"));
    format!("{folder}/{page}-{}", scribe.random.below(10_000))
}

/// A UUID of version 4: all random but for the version and the variant.
fn uuid(scribe: &mut Scribe) -> String {
    let random = &mut scribe.random;
    let (high, low) = (random.next_u64(), random.next_u64());
    let hex = format!("{high:016x}{low:016x}");
    let variant = ["8", "9", "a", "b"][random.index(4)];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}
