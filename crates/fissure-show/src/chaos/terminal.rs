//! The matrix in a terminal.

use anstyle::{AnsiColor, Style};
use fissure_facts::Run;
use fissure_judge::chaos::{Cell, Chaos, Class, Outcome, Trial};

use super::{NOT_TESTED, doubts, exit_status, figures, foreseen, headline, name, radii, word, writes};
use crate::terminal::{Page, sign};
use crate::units::{number, percent};
use crate::words;

/// The widest word of a cell.
const COLUMN: usize = 12;

pub fn report(run: &Run, chaos: &Chaos, width: usize) -> String {
    let mut page = Page::new(width);
    let (sign, colour) = sign(match exit_status(chaos) {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    });
    let style = Style::new().bold().fg_color(Some(colour.into()));
    page.text.push_str(&format!("{style}{sign}{style:#} "));
    page.first_line(&headline(chaos));
    if chaos.users_per_s > 0.0 {
        page.paragraph(
            "",
            Style::new(),
            &format!("Held all the time: {} users per second.", number(chaos.users_per_s)),
        );
    }
    for line in radii(chaos) {
        page.item(&line);
    }
    for arrangement in chaos.arrangements() {
        let trials: Vec<&Trial> = chaos.trials.iter().filter(|t| t.arrangement == arrangement).collect();
        matrix(run, arrangement, &trials, width, &mut page);
    }
    details(chaos, &mut page);
    let foreseen = foreseen(chaos);
    if !foreseen.is_empty() {
        page.heading("Expected and seen");
        foreseen.iter().for_each(|line| page.item(line));
    }
    let writes = writes(chaos);
    if !writes.is_empty() {
        page.heading("Writes read back");
        writes.iter().for_each(|line| page.item(line));
    }
    let doubts = doubts(chaos);
    if !doubts.is_empty() {
        page.heading("Doubts");
        doubts.iter().for_each(|line| page.item(line));
    }
    page.heading("Not tested");
    NOT_TESTED.iter().for_each(|line| page.item(line));
    page.text
}

fn matrix(run: &Run, arrangement: &str, trials: &[&Trial], width: usize, page: &mut Page) {
    let routes = run.routes();
    let names = trials.iter().map(|t| name(t).chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(names + 12) / (COLUMN + 1);
    for (block, routes) in routes.chunks(room.max(1)).enumerate() {
        page.heading(&format!("What breaks what: {arrangement}"));
        let first = block * room.max(1);
        for (at, route) in routes.iter().enumerate() {
            page.paragraph("  ", Style::new().dimmed(), &format!("[{}] {route}", first + at + 1));
        }
        let mut head = format!("  {:names$}  spoils", "");
        for at in 0..routes.len() {
            head.push_str(&format!("  {:COLUMN$}", format!("[{}]", first + at + 1)));
        }
        page.text.push_str(&format!("{}\n", head.trim_end()));
        for trial in trials {
            page.text.push_str(&format!("  {:names$}", name(trial)));
            if let Outcome::Measured { cells, blast_radius, .. } = &trial.outcome {
                page.text.push_str(&format!("  {:>6}", percent(blast_radius.mid)));
                for route in routes {
                    let class = cells.iter().find(|c| c.route == *route).map_or(Class::TooFew, |c| c.class);
                    let (style, text) = (style_of(class), word(class));
                    page.text.push_str(&format!("  {style}{text:COLUMN$}{style:#}"));
                }
            } else {
                let word = if matches!(trial.outcome, Outcome::Void { .. }) { "void" } else { "not tried" };
                page.text.push_str(&format!("       -  {word}"));
            }
            page.text.push('\n');
        }
    }
}

fn style_of(class: Class) -> Style {
    let colour = match class {
        Class::TooFew => return Style::new().dimmed(),
        Class::Unaffected | Class::WithinSlo => AnsiColor::Green,
        Class::Slow | Class::NotReached | Class::FailsFast => AnsiColor::Yellow,
        Class::Hangs
        | Class::WrongAnswer
        | Class::NeverHealed
        | Class::DuplicatedWrite
        | Class::LostWrite => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn details(chaos: &Chaos, page: &mut Page) {
    let worth = |cell: &&Cell| cell.class > Class::WithinSlo && cell.class != Class::NotReached;
    page.heading("In figures");
    for trial in &chaos.trials {
        match &trial.outcome {
            Outcome::NotTried { why } => page.item(&format!("{}: not tried, {why}.", name(trial))),
            Outcome::Void { why } => page.item(&format!("{}: void, {}", name(trial), words::full_stop(why))),
            Outcome::Measured { cells, .. } => {
                for cell in cells.iter().filter(worth) {
                    page.item(&format!(
                        "{}, `{}` {}: {}.",
                        name(trial),
                        cell.route,
                        word(cell.class),
                        figures(cell)
                    ));
                }
            }
        }
    }
}
