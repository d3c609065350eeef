//! Commands as text: what `sh -c` will read.

/// `word` so that the shell reads it as one word. Control characters are dropped: no name of ours needs them.
pub(super) fn quote(word: &str) -> String {
    let word: String = word.chars().filter(|c| !c.is_control()).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Line breaks and other control characters become blanks: a command is one line of `fissure.toml`.
pub(super) fn on_one_line(command: &str) -> String {
    command
        .split(|c: char| c.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// One program with arguments: no pipes, lists, variables or substitutions. Such a command can be changed safely.
pub(super) fn is_simple(command: &str) -> bool {
    !command.contains(['|', '&', ';', '<', '>', '(', ')', '`', '$', '\n', '"', '\'', '\\', '*', '?'])
}

/// Options that name a port, or an address that ends in one.
const PORT_OPTIONS: &[&str] = &[
    "-p",
    "--port",
    "-b",
    "--bind",
    "--listen",
    "--http-port",
    "--addr",
    "--address",
    "--server.port",
    "-port",
    "-addr",
];

/// The command with `$PORT` in place of the port that it names literally, and that port.
pub(super) fn free_port(command: &str) -> Option<(String, u16)> {
    let words: Vec<&str> = command.split(' ').collect();
    for (place, word) in words.iter().enumerate() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, value),
            None => (*words.get(place.wrapping_sub(1)).unwrap_or(&""), *word),
        };
        let Some((address, port)) = ending_port(value) else { continue };
        let is_option = PORT_OPTIONS.contains(&option);
        let is_listen_address =
            address.is_some_and(|a| ["0.0.0.0:", "127.0.0.1:", "localhost:", "[::]:", "*:"].contains(&a));
        if !(is_option || is_listen_address) {
            continue;
        }
        let kept = &word[..word.len() - port.len()];
        let number = port.parse().ok()?;
        let mut freed: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
        freed[place] = format!("{kept}$PORT");
        return Some((freed.join(" "), number));
    }
    None
}

/// `0.0.0.0:8000` -> (`0.0.0.0:`, `8000`); `8000` -> (nothing, `8000`).
fn ending_port(value: &str) -> Option<(Option<&str>, &str)> {
    let digits = value.len() - value.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (address, port) = value.split_at(digits);
    port.parse::<u16>().ok().filter(|&p| p >= 80)?;
    match address {
        "" => Some((None, port)),
        _ if address.ends_with(':') => Some((Some(address), port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_literal_port_gives_way() {
        let freed = |command: &str| free_port(command).map(|(command, port)| format!("{command} was {port}"));
        assert_eq!(freed("next start -p 3000").unwrap(), "next start -p $PORT was 3000");
        assert_eq!(
            freed("gunicorn --bind=0.0.0.0:8000 a:app").unwrap(),
            "gunicorn --bind=0.0.0.0:$PORT a:app was 8000"
        );
        assert_eq!(
            freed("python manage.py runserver 0.0.0.0:8000").unwrap(),
            "python manage.py runserver 0.0.0.0:$PORT was 8000"
        );
        assert_eq!(freed("node server.js --workers 8000"), None);
        assert_eq!(freed("java -Xmx 2048 -jar app.jar"), None);
        assert_eq!(freed("app --db postgres://db:5432"), None);
    }

    #[test]
    fn a_file_name_stays_one_word() {
        assert_eq!(quote("src/app.js"), "src/app.js");
        assert_eq!(quote("a; rm -rf 'x'"), r"'a; rm -rf '\''x'\'''");
        assert_eq!(quote(""), "''");
    }

    proptest! {
        #[test]
        fn no_command_makes_it_panic(command in "\\PC{0,60}", tail in "[-=:. a-z0-9é]{0,40}") {
            let _ = free_port(&format!("{command}{tail}"));
            prop_assert!(!on_one_line(&command).contains('\n'));
        }
    }
}
