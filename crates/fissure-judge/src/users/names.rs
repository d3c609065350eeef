//! Names that a person would choose.

/// Small letters, digits and underscores: `csrfMiddlewareToken` gives `csrf_middleware_token`.
pub fn word(text: &str) -> String {
    let mut out = String::new();
    let mut was_small = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && was_small {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
            was_small = !c.is_ascii_uppercase();
        } else {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            was_small = false;
        }
    }
    out.truncate(40);
    out.trim_matches('_').to_owned()
}

/// What a value is called, by how it is sent and how the answer calls it. `before` is the part of the path before it.
pub fn of_value(sent_as: &str, given_as: &str, before: Option<&str>) -> String {
    for name in [sent_as, given_as] {
        if is_forgery_token(name) {
            return "csrf_token".to_owned();
        }
    }
    if sent_as.eq_ignore_ascii_case("authorization") {
        let name = word(given_as);
        return if name.is_empty() { "token".to_owned() } else { name };
    }
    if let Some(before) = before {
        if !before.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return "id".to_owned();
        }
        return format!("{}_id", singular(&word(before)));
    }
    let (sent, given) = (word(sent_as), word(given_as));
    let is_plain = |name: &str| {
        matches!(name, "" | "path" | "body" | "id" | "value" | "referer" | "href" | "action" | "src")
    };
    let name = if !is_plain(&sent) {
        sent
    } else if !is_plain(&given) {
        given
    } else {
        "id".to_owned()
    };
    match name.as_str() {
        // These mean something else in the language.
        "base" => "base_value".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("v{name}"),
        name => name.to_owned(),
    }
}

/// Is a thing found by what is called so: `id`, `post_ID`, `orderNumber`?
pub fn is_of_id(name: &str) -> bool {
    let name = word(name);
    ["id", "uuid", "guid", "key", "slug", "token", "ref", "code", "number"]
        .iter()
        .any(|w| name.strip_suffix(w).is_some_and(|before| before.is_empty() || before.ends_with('_')))
}

pub fn is_forgery_token(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["csrf", "xsrf", "authenticity_token", "requestverificationtoken", "sectok", "wpnonce"]
        .iter()
        .any(|w| name.contains(w))
        || name == "_token"
}

/// `orders` gives `order`, `stories` gives `story`.
pub fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s').filter(|stem| stem.len() > 1 && !stem.ends_with(['s', 'u', 'i'])) {
        Some(stem) => stem.to_owned(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_called_what_people_call_them() {
        for (sent, given, before, name) in [
            ("csrfmiddlewaretoken", "", None, "csrf_token"),
            ("X-CSRFToken", "csrftoken", None, "csrf_token"),
            ("path", "", Some("orders"), "order_id"),
            ("path", "id", Some("stories"), "story_id"),
            ("authorization", "accessToken", None, "access_token"),
            ("parentId", "id", None, "parent_id"),
            ("id", "", None, "id"),
            ("2fa", "", None, "v2fa"),
            ("path", "", Some("status"), "status_id"),
        ] {
            assert_eq!(of_value(sent, given, before), name);
        }
    }
}
