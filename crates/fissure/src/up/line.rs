//! One line for each request.

use anstyle::{AnsiColor, Style};
use fissure_facts::Exchange;
use fissure_facts::traffic::Side;
use fissure_rig::door::Passed;

use super::notes::Roles;

/// Columns that a target may take.
const TARGET_COLUMNS: usize = 72;

pub(super) fn line(passed: &Passed, roles: &Roles) -> String {
    match passed {
        Passed::Answered(exchange) => {
            let status = exchange.answer.as_ref().map_or(0, |answer| answer.status);
            let style = match status {
                0..400 => Style::new(),
                400..500 => AnsiColor::Yellow.on_default(),
                _ => AnsiColor::Red.on_default(),
            };
            format!("{style}{status}{style:#}  {}{}", rest(exchange), by(exchange, roles))
        }
        Passed::Unanswered(exchange, why) => format!("---  {}: {why}", rest(exchange)),
        Passed::Refused { client, why } => format!("---  a request of {client} was refused: {why}"),
        Passed::Said(message) => {
            let whole = message.body.cut_from.unwrap_or(message.body.bytes.len() as u64);
            let who = match message.from {
                Side::Client => "client to app",
                Side::App => "app to client",
            };
            format!("ws   {who}: {whole} bytes")
        }
    }
}

/// The role that answered, where it is not the whole.
fn by(exchange: &Exchange, roles: &Roles) -> String {
    let path = exchange.request.target.split('?').next().unwrap_or_default();
    let role = roles.iter().find(|(route, _)| route.serves(&exchange.request.method, path));
    role.map(|(_, role)| format!("  (by {role})")).unwrap_or_default()
}

fn rest(exchange: &Exchange) -> String {
    let took_ms = exchange.took_us as f64 / 1e3;
    let took = if took_ms < 10.0 { format!("{took_ms:.1}") } else { format!("{took_ms:.0}") };
    format!("{took:>6} ms  {:<6} {}", exchange.request.method, shown(&exchange.request.target))
}

/// A target comes from strangers: nothing in it reaches the terminal that could steer it.
fn shown(target: &str) -> String {
    let plain: String = target.chars().filter(|c| !c.is_control()).collect();
    match plain.char_indices().nth(TARGET_COLUMNS) {
        Some((at, _)) => format!("{}...", &plain[..at]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use fissure_facts::traffic::{Answered, Asked};

    use super::*;

    #[test]
    fn a_line_says_what_was_asked_answered_and_how_long_it_took() {
        let exchange = Exchange {
            request: Asked {
                method: "GET".to_owned(),
                target: "/a\u{1b}[2J?b".to_owned(),
                ..Asked::default()
            },
            answer: Some(Answered { status: 200, ..Answered::default() }),
            took_us: 1_240,
            ..Exchange::default()
        };
        let roles = Roles::from([("GET /{x}".parse().unwrap(), "area".to_owned())]);
        let plain =
            anstream::adapter::strip_str(&line(&Passed::Answered(exchange.clone()), &roles)).to_string();
        assert_eq!(plain, "200     1.2 ms  GET    /a[2J?b  (by area)");
        let long = Exchange { request: Asked { target: "/é".repeat(90), ..Asked::default() }, ..exchange };
        assert!(line(&Passed::Unanswered(long, "it died".to_owned()), &roles).ends_with("...: it died"));
    }
}
