//! Environment values that name the app's folder, made to name its copy.

use std::fs;
use std::path::Path;

/// Replaces every mention of the folder `from` in a value by `to`: `sqlite:////home/me/app/db.sqlite` and
/// `/home/me/app/bin:/usr/bin`, but not `/home/me/app2` or `/mnt/home/me/app`. Applying it twice changes nothing more.
pub fn rewrite(value: &str, from: &Path, to: &Path) -> String {
    let (Some(from), Some(to)) = (from.to_str(), to.to_str()) else { return value.to_owned() };
    let from = from.trim_end_matches('/');
    let to = to.trim_end_matches('/');
    if from.is_empty() {
        return value.to_owned(); // an app in the root folder: every path would be a mention
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(from) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let after = &found[from.len()..];
        let begins = !out.chars().next_back().is_some_and(is_part_of_name);
        let ends = !after.chars().next().is_some_and(is_part_of_name);
        // The copy may lie below the original: then its own path is a mention already rewritten.
        let done =
            found.strip_prefix(to).is_some_and(|rest| !rest.chars().next().is_some_and(is_part_of_name));
        let (written, read) = match (begins && ends, done) {
            (true, true) => (to, to.len()),
            (true, false) => (to, from.len()),
            (false, _) => (from, from.len()),
        };
        out.push_str(written);
        rest = &found[read..];
    }
    out.push_str(rest);
    out
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+')
}

/// The entries of the folder's `.env` whose values name the folder, rewritten. Set in the environment they win over the
/// file, which every common reader of `.env` files lets the environment do; so the file itself stays as it is.
pub fn dotenv(folder: &Path, to: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join(".env")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let name = name.trim();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let value = unquoted(value.trim());
            let rewritten = rewrite(value, folder, to);
            (is_name && rewritten != value).then(|| (name.to_owned(), rewritten))
        })
        .collect()
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|v| v.split(quote).next()) {
            return inner;
        }
    }
    value.split(" #").next().unwrap_or(value).trim_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moved(value: &str) -> String {
        rewrite(value, Path::new("/home/me/app"), Path::new("/home/me/app/.fissure/scratch/1/app"))
    }

    #[test]
    fn urls_and_lists_of_paths_are_rewritten() {
        let to = "/home/me/app/.fissure/scratch/1/app";
        assert_eq!(moved("sqlite:////home/me/app/db.sqlite"), format!("sqlite:///{to}/db.sqlite"));
        assert_eq!(moved("/home/me/app/bin:/home/me/app"), format!("{to}/bin:{to}"));
        assert_eq!(moved("file:/home/me/app?mode=rw"), format!("file:{to}?mode=rw"));
    }

    #[test]
    fn other_folders_are_left_alone() {
        for value in ["/home/me/app2", "/mnt/x/home/me/app-old", "/mnt/home/me/app", "home/me/app", "", "."] {
            assert_eq!(moved(value), value);
        }
    }

    #[test]
    fn only_entries_of_dotenv_that_name_the_folder_are_set() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        let text = format!(
            "# {at}\nA=1\nDATABASE_URL=\"sqlite:///{at}/db\"\nexport LOGS={at}/logs # here\nOTHER=/srv/x\n"
        );
        fs::write(folder.path().join(".env"), text).unwrap();
        let expected = [("DATABASE_URL", "sqlite:////copy/db"), ("LOGS", "/copy/logs")];
        assert_eq!(
            dotenv(folder.path(), Path::new("/copy")),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    proptest! {
        #[test]
        fn twice_is_once(parts in proptest::collection::vec(
            prop_oneof![Just("/home/me/app".to_owned()), Just(".fissure/scratch/1/app".to_owned()), "[a-z/:. ]{0,3}"], 0..8)) {
            let once = moved(&parts.concat());
            prop_assert_eq!(moved(&once), once);
        }
    }
}
