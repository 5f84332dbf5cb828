//! Writes the answers in `tests/cases/parse` as the first corpus of `extract`, and the bodies in `tests/cases/answers` as
//! that of `answer`.

#[path = "../tests/cases/parse/corpus.rs"]
#[allow(dead_code, reason = "only the inputs are wanted")]
mod corpus;

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("corpus/extract");
    fs::create_dir_all(&folder)?;
    let cases = corpus::cases(&here.join("../tests/cases/parse"));
    for (index, case) in cases.iter().enumerate() {
        fs::write(folder.join(format!("case-{index:04}")), &case.input)?;
    }
    let folder = here.join("corpus/answer");
    fs::create_dir_all(&folder)?;
    for wire in ["openai", "anthropic", "gemini"] {
        let path = format!("../tests/cases/answers/{wire}.json");
        let cases = serde_json::from_str(&fs::read_to_string(here.join(path))?)?;
        let cases: Vec<serde_json::Value> = cases;
        for (index, case) in cases.iter().enumerate() {
            fs::write(
                folder.join(format!("{wire}-{index:02}")),
                case["body"].to_string(),
            )?;
        }
    }
    Ok(())
}
