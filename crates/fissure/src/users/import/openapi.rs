//! OpenAPI in JSON or YAML: the text becomes a value here; what it says is read by the judge.

use fissure_judge::users::openapi::{Drawn, journeys};
use serde_json::Value;

use super::Wrong;

/// The largest descriptions that are published have about 10 MB.
const BYTES_MAX: usize = 32 << 20;

/// Is it one, by its first words?
pub fn is_one(text: &str) -> bool {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str::<Value>(text)
            .is_ok_and(|value| value.get("openapi").is_some() || value.get("swagger").is_some());
    }
    text.lines().take(2_000).any(|line| {
        let key = line.split(':').next().unwrap_or_default().trim_end().trim_matches(['"', '\'']);
        line.contains(':') && matches!(key, "openapi" | "swagger")
    })
}

pub fn read(text: &str) -> Result<Drawn, Wrong> {
    if text.len() > BYTES_MAX {
        return Err(Wrong::new(format!("it is larger than the {} MB that fissure reads", BYTES_MAX >> 20)));
    }
    let description = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| Wrong::at(e.line(), format!("this is no JSON: {e}")))?
    } else {
        yaml(text)?
    };
    journeys(&description).map_err(|wrong| Wrong::new(wrong.to_string()))
}

fn yaml(text: &str) -> Result<Value, Wrong> {
    serde_saphyr::from_str::<Value>(text).map_err(|e| {
        let sentence = e.without_snippet().to_string();
        // The place stands at the end or in the middle of what the reader says, by its own taste.
        let sentence =
            format!("this is no YAML that fissure reads: {}", sentence.lines().next().unwrap_or_default());
        match e.location().and_then(|at| usize::try_from(at.line()).ok()).filter(|line| *line > 0) {
            Some(line) => Wrong::at(line, sentence),
            None => Wrong::new(sentence),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: &str = "openapi: 3.0.3\ninfo: {title: Lamps, version: '1'}\npaths:\n  /lamps:\n    get:\n      responses:\n        200:\n          description: all\n";

    #[test]
    fn yaml_and_json_say_the_same() {
        assert!(is_one(SMALL) && is_one("{\"openapi\": \"3.1.0\"}") && is_one("# mine\n'swagger': '2.0'\n"));
        assert!(!is_one("- openapi") && !is_one("{\"log\": 1}") && !is_one("GET / HTTP/1.1"));
        let drawn = read(SMALL).unwrap();
        assert_eq!(drawn.operations, 1);
        assert_eq!(
            drawn.journeys[0].journey.steps[0].status,
            fissure_facts::journey::ExpectedStatus::Exactly(200)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert!(
            wrong("openapi: 3.0.0\npaths: [\n").contains("line "),
            "{}",
            wrong("openapi: 3.0.0\npaths: [\n")
        );
        assert!(wrong("{\n\"openapi\": }").starts_with("line 2: "));
        assert!(wrong("openapi: 3.0.0\npaths: 5\n").starts_with("#/paths: "));
        // A billion laughs.
        let mut laughs =
            String::from("openapi: 3.0.0\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for n in 1..12 {
            let list = vec![format!("*a{}", n - 1); 9].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        assert!(wrong(&laughs).contains("no YAML that fissure reads"), "{}", wrong(&laughs));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", like in "[a-z0-9:&* \n{}\\[\\],'\"|>-]{0,80}") {
            for text in [text, format!("openapi: 3.0.0\n{like}"), format!("{SMALL}{like}")] {
                let _ = read(&text);
            }
        }
    }
}
