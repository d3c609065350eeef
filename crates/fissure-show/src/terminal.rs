//! The report in a terminal: the verdict first, then what it rests on, short enough for one screen.
//!
//! Styles are bold and the sixteen basic colours, always beside a sign or a word, never alone: they follow the
//! user's own theme, light or dark. The caller strips them for `NO_COLOR` and pipes.

use anstyle::{AnsiColor, Style};
use fissure_facts::Run;
use fissure_judge::Judgement;

use crate::units::{brief, ms, percent};
use crate::words;

/// Demands shown; the page has all.
const DEMANDS_SHOWN: usize = 5;
const BOLD: Style = Style::new().bold();

/// The report for a terminal of `width` columns.
pub fn report(run: &Run, judgement: &Judgement, width: usize) -> String {
    let mut page = Page::new(width);
    let (sign, colour) = sign(words::goal_met(judgement));
    let style = Style::new().bold().fg_color(Some(colour.into()));
    page.text.push_str(&format!(
        "{style}{sign} {}{style:#} · {}\n",
        words::title(judgement),
        words::standing(judgement)
    ));
    page.paragraph("", BOLD, &words::verdict_sentence(run, judgement));
    page.blank();
    for line in words::details(run, judgement) {
        page.item(&line);
    }
    remedies(run, judgement, &mut page);
    demands(judgement, &mut page);
    page.heading("Doubts");
    if let Some(line) = words::windows(judgement) {
        page.item(&line);
    }
    for doubt in words::doubts(&judgement.doubts) {
        page.item(&doubt);
    }
    if let Some(control) = &judgement.control {
        page.item(&words::control(control.cpu_ratio));
    }
    if !judgement.not_checked.is_empty() {
        page.heading("Not checked");
        for line in &judgement.not_checked {
            page.item(&words::full_stop(line));
        }
    }
    if let Some(line) = words::resume(run, judgement) {
        page.heading("For your resume");
        page.paragraph("  ", Style::new(), &line);
    }
    page.text
}

pub(crate) fn sign(good: Option<bool>) -> (&'static str, AnsiColor) {
    match good {
        Some(true) => ("✓", AnsiColor::Green),
        Some(false) => ("✗", AnsiColor::Red),
        None => ("?", AnsiColor::Yellow),
    }
}

fn remedies(run: &Run, judgement: &Judgement, page: &mut Page) {
    if judgement.remedies.is_empty() {
        return;
    }
    page.heading("Remedies, capacity relative to the app as it is");
    let mut rows = vec![["", "", "predicted", "measured", ""].map(str::to_owned)];
    for remedy in judgement.remedies.iter().filter(|r| r.not_rehearsed.is_none()) {
        rows.push([
            sign(remedy.meets_goal).0.to_owned(),
            words::remedy_name(remedy),
            words::predicted(remedy),
            words::measured(remedy),
            words::outcome(remedy).to_owned(),
        ]);
    }
    if rows.len() > 1 {
        page.table(&rows);
    }
    for remedy in &judgement.remedies {
        if let Some((route, change)) = words::headline(run, judgement, remedy) {
            page.item(&format!(
                "{}: {} of {} {} to {}, ratio {}.",
                words::remedy_name(remedy),
                words::quantile(run, route),
                words::code(route),
                ms(change.whole_ms),
                ms(change.remedy_ms),
                brief(change.ratio, "")
            ));
        }
    }
    for line in words::not_rehearsed(&judgement.remedies) {
        page.item(&line);
    }
}

fn demands(judgement: &Judgement, page: &mut Page) {
    if judgement.demands.is_empty() {
        return;
    }
    page.heading("CPU per request");
    let mut rows = vec![["", "cpu", "share of all", "alone"].map(str::to_owned)];
    rows.extend(judgement.demands.iter().take(DEMANDS_SHOWN).map(|d| {
        let alone = d.solo_ms.map_or(words::NOTHING.to_owned(), ms);
        [d.route.to_string(), words::cost(d), percent(d.share), alone]
    }));
    if let Some(connection) = judgement.connection {
        let nothing = words::NOTHING.to_owned();
        rows.push([
            words::NEW_CONNECTION.to_owned(),
            brief(connection.cpu_ms, "ms"),
            nothing.clone(),
            nothing,
        ]);
    }
    page.table(&rows);
    if let Some(more) = judgement.demands.len().checked_sub(DEMANDS_SHOWN).filter(|n| *n > 0) {
        page.item(&format!("{more} more in the page and in report.json."));
    }
}

/// Text that grows line by line and keeps to its width. What comes from outside is cleaned here, in one place.
pub(crate) struct Page {
    pub(crate) text: String,
    width: usize,
}

impl Page {
    pub(crate) fn new(width: usize) -> Self {
        Self { text: String::new(), width: width.clamp(30, 110) }
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.text.push_str(&format!("\n{BOLD}{text}{BOLD:#}\n"));
    }

    /// The rest of a line that has begun with a sign; what does not fit hangs below.
    pub(crate) fn first_line(&mut self, text: &str) {
        let begun = self.text.len();
        self.hanging("", "    ", Style::new(), text);
        debug_assert!(self.text.len() > begun);
    }

    pub(crate) fn item(&mut self, text: &str) {
        self.hanging("  - ", "    ", Style::new(), text);
    }

    pub(crate) fn paragraph(&mut self, indent: &str, style: Style, text: &str) {
        self.hanging(indent, indent, style, text);
    }

    fn hanging(&mut self, first: &str, rest: &str, style: Style, text: &str) {
        let room = self.width.saturating_sub(first.len().max(rest.len()));
        for (i, line) in wrap(&clean(text), room).iter().enumerate() {
            let indent = if i == 0 { first } else { rest };
            self.text.push_str(&format!("{indent}{style}{line}{style:#}\n"));
        }
    }

    /// Columns side by side; one under the other where they do not fit.
    pub(crate) fn table<const N: usize>(&mut self, rows: &[[String; N]]) {
        let rows: Vec<Vec<String>> = rows.iter().map(|r| r.iter().map(|c| clean(c)).collect()).collect();
        let widths: Vec<usize> =
            (0..N).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
        if widths.iter().sum::<usize>() + 2 * N > self.width {
            self.stacked(&rows);
            return;
        }
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("  {cell:width$}"));
            }
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    fn stacked(&mut self, rows: &[Vec<String>]) {
        let Some((head, body)) = rows.split_first() else { return };
        for row in body {
            let cells: Vec<String> = row
                .iter()
                .zip(head)
                .filter(|(cell, _)| !cell.is_empty() && *cell != words::NOTHING)
                .map(|(cell, name)| if name.is_empty() { cell.clone() } else { format!("{name} {cell}") })
                .collect();
            // The sign stands before the name without a comma.
            let line = cells.join(", ");
            let line = ["✓, ", "✗, ", "?, "]
                .iter()
                .find_map(|s| line.strip_prefix(s).map(|rest| format!("{} {rest}", s.trim_end_matches(", "))))
                .unwrap_or(line);
            self.hanging("  ", "    ", Style::new(), &line);
        }
    }
}

/// Without control characters: what an app printed must not drive the user's terminal.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            // A control sequence ends at its first byte from @ to ~ (ECMA-48, 5.4).
            for end in chars.by_ref() {
                if ('@'..='~').contains(&end) {
                    break;
                }
            }
        } else if c.is_control() {
            out.push(' ');
        } else {
            out.push(c);
        }
    }
    out
}

/// Lines of at most `width` characters; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in pieces(text, width / 2) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(&word);
            used += length;
        }
    }
    lines
}

/// Words, and what must stay on one line: `GET /photos/{id}` in its backticks and `40 ms`, up to `longest` characters.
fn pieces(text: &str, longest: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(last) = pieces.last_mut() {
            let open = last.matches('`').count() % 2 == 1;
            let unit = matches!(word.trim_end_matches(['.', ',', ';', ':', ')']), "%" | "ms" | "×")
                && last.ends_with(|c: char| c.is_ascii_digit());
            if (open || unit) && last.chars().count() + 1 + word.chars().count() <= longest {
                last.push(' ');
                last.push_str(word);
                continue;
            }
        }
        pieces.push(word.to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_prints_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m\u{7}b\u{1b}]0;title\r"), "ared b ]0;title ");
        assert_eq!(clean("\u{1b}["), "");
    }

    #[test]
    fn lines_keep_to_their_width_and_lose_no_word() {
        let text = "a bb `ccc dddd` eeeee averyveryverylongword 5 % of 40 ms f";
        for width in 1..40 {
            let lines = wrap(text, width);
            assert_eq!(lines.join(" "), text);
            assert!(lines.iter().all(|l| l.chars().count() <= width || !l.contains(' ')), "{lines:?}");
        }
    }

    #[test]
    fn a_route_and_a_number_with_its_unit_are_not_torn() {
        for width in 22..60 {
            let lines =
                wrap("so at most 1 % of `GET /photos/{id}` are slow, by 40 ms. Not `GET` `POST`", width);
            for whole in ["1 %", "40 ms."] {
                assert!(lines.iter().any(|l| l.contains(whole)), "{width}: {lines:?}");
            }
            assert!(
                width < 36 || lines.iter().any(|l| l.contains("`GET /photos/{id}`")),
                "{width}: {lines:?}"
            );
        }
    }
}
