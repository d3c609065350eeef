//! Weights of journeys and the hours of a log in a `fissure.toml`, with everything else in it left as the person wrote it.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value};

/// The text with these weights in `[users]`; a journey that no pattern names is added to `journeys`.
pub fn with_weights(text: &str, weights: &[(String, f64)]) -> Result<String, String> {
    let mut file: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    let users = file.entry("users").or_insert_with(|| Item::Table(Table::new()));
    let users = users.as_table_like_mut().ok_or("[users] is no table")?;
    let patterns: Vec<String> = match users.get("journeys").and_then(Item::as_array) {
        Some(list) => list.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect(),
        None => vec!["journeys/*.hurl".to_owned()],
    };
    let is_named = |name: &str| {
        patterns.iter().any(|p| p == name || glob::Pattern::new(p).is_ok_and(|pattern| pattern.matches(name)))
    };
    for (name, _) in weights.iter().filter(|(name, _)| !is_named(name)) {
        if let Some(list) = users.get_mut("journeys").and_then(Item::as_array_mut) {
            list.push(name.as_str());
        }
    }
    let known = users.entry("weights").or_insert_with(|| Item::Value(InlineTable::new().into()));
    let known = known.as_table_like_mut().ok_or("[users] weights is no table")?;
    for (name, weight) in weights {
        let number = if weight.fract() == 0.0 { value(*weight as i64) } else { value(*weight) };
        known.insert(name, number);
    }
    Ok(file.to_string())
}

/// The text with these requests per second of each hour in `[users]`.
pub fn with_hours(text: &str, hours: &[f64]) -> Result<String, String> {
    let mut file: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    let users = file.entry("users").or_insert_with(|| Item::Table(Table::new()));
    let users = users.as_table_like_mut().ok_or("[users] is no table")?;
    // Three digits say as much as a log knows.
    let rounded =
        |rate: f64| if rate >= 100.0 { rate.round() } else { format!("{rate:.3}").parse().unwrap_or(rate) };
    let list: Array = hours.iter().map(|rate| rounded(*rate)).collect();
    users.insert("hours", value(list));
    Ok(file.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_stand_beside_what_was_there() {
        let text = "[users] # mine\nthink_max = \"2s\"\n";
        let new = with_hours(text, &[1.23456, 250.4, 0.0]).unwrap();
        assert!(
            new.starts_with("[users] # mine\nthink_max = \"2s\"\n")
                && new.contains("hours = [1.235, 250.0, 0.0]"),
            "{new}"
        );
        assert!(with_hours(&new, &[7.0]).unwrap().contains("hours = [7.0]"));
    }

    #[test]
    fn what_the_person_wrote_stays() {
        let text = "# mine\n[app]\ncommand = 'x' # how\n\n[users]\njourneys = [\"a/*.hurl\"]\nweights = { \"a/b.hurl\" = 2 }\n\n[goal]\nusers = 1\n";
        let new = with_weights(text, &[("a/c.hurl".to_owned(), 3.0), ("j/d.hurl".to_owned(), 1.5)]).unwrap();
        assert!(new.starts_with("# mine\n[app]\ncommand = 'x' # how\n"), "{new}");
        assert!(new.contains("journeys = [\"a/*.hurl\", \"j/d.hurl\"]"), "{new}");
        assert!(
            new.contains("\"a/b.hurl\" = 2")
                && new.contains("\"a/c.hurl\" = 3")
                && new.contains("\"j/d.hurl\" = 1.5"),
            "{new}"
        );
        assert!(
            with_weights("[app]\n", &[("journeys/a.hurl".to_owned(), 1.0)])
                .unwrap()
                .contains("\"journeys/a.hurl\" = 1")
        );
        assert!(with_weights("users = 1", &[]).is_err());
    }
}
