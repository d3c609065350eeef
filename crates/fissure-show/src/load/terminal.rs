//! A load run in a terminal: thresholds first, each with its value, then rates, latencies and errors.

use anstyle::{AnsiColor, Style};
use fissure_facts::Run;
use fissure_facts::fact::RouteSecond;
use fissure_judge::load::{LoadSummary, Outcome};

use super::{QUANTILES, asked, crowd, errors, exit_status, filling, headline, holds, latency, little, value};
use crate::terminal::{Page, sign};
use crate::units::{number, percent};
use crate::words;

pub fn report(run: &Run, summary: &LoadSummary, width: usize) -> String {
    let mut page = Page::new(width);
    let (mark, colour) = sign(holds(summary));
    let style = Style::new().bold().fg_color(Some(colour.into()));
    page.text.push_str(&format!("{style}{mark}{style:#} "));
    page.first_line(&headline(summary));
    if let Outcome::NotThere { last_lines, .. } = &summary.outcome {
        last_lines.iter().for_each(|line| page.paragraph("    ", Style::new().dimmed(), line));
    }
    let is_void = exit_status(summary) == 2;
    for checked in &summary.thresholds {
        let (mark, colour) = if is_void { sign(None) } else { sign(checked.holds) };
        let style = Style::new().fg_color(Some(AnsiColor::into(colour)));
        page.text.push_str(&format!("  {style}{mark}{style:#} "));
        page.first_line(&format!("{} · measured {}", checked.threshold.text, value(checked)));
    }
    if let Some(window) = &summary.window {
        page.paragraph("", Style::new(), &words::full_stop(&asked(run, summary)));
        for line in [little(run, summary), filling(run, summary)].into_iter().flatten() {
            page.paragraph("", Style::new(), &line);
        }
        if !window.crowd.is_empty() {
            rates(summary, &mut page);
            latencies(summary, &mut page);
        }
        if !summary.total.errors.is_empty() {
            page.heading("Errors");
            errors(summary).iter().for_each(|line| page.item(line));
        }
        page.blank();
        page.paragraph("", Style::new(), &crowd(summary));
    }
    for foreseen in &summary.foreseen {
        page.paragraph("", Style::new(), &words::full_stop(&format!("Foreseen: {foreseen}")));
    }
    page.text
}

fn rates(summary: &LoadSummary, page: &mut Page) {
    let rates = &summary.rates;
    let mut rows = vec![["per second", "planned", "sent", "answered right"].map(str::to_owned)];

    if let Some(planned) = rates.users_planned {
        rows.push(["users".to_owned(), number(planned), number(rates.users_arrived), String::new()]);
    }
    rows.push(["requests".to_owned(), number(rates.planned), number(rates.sent), number(rates.answered)]);
    page.blank();
    page.table(&right_aligned(rows));
}

fn latencies(summary: &LoadSummary, page: &mut Page) {
    let mut head =
        ["latency, ms", "requests", "", "", "", "", "", "", "service p99", "errors"].map(str::to_owned);
    head.iter_mut().skip(2).zip(QUANTILES).for_each(|(cell, (name, _))| *cell = name.to_owned());
    let row = |name: String, seen: &RouteSecond| {
        let mut cells = std::array::from_fn(|_| String::new());
        cells[0] = name;
        cells[1] = number_of(seen.ended());
        for (cell, (_, q)) in cells.iter_mut().skip(2).zip(QUANTILES) {
            *cell = bare(latency(&seen.latency, q));
        }
        cells[8] = bare(latency(&seen.service, 0.99));
        cells[9] = percent(seen.error_count() as f64 / seen.ended().max(1) as f64);
        cells
    };
    let mut rows = vec![head];
    rows.extend(summary.routes.iter().map(|(route, seen)| row(route.to_string(), seen)));
    if summary.routes.len() > 1 {
        rows.push(row("all".to_owned(), &summary.total));
    }
    page.blank();
    page.table(&right_aligned(rows));
}

fn number_of(n: u64) -> String {
    crate::units::count(n, "", "").trim_end().to_owned()
}

/// The head says the unit.
fn bare(text: String) -> String {
    text.trim_end_matches(" ms").to_owned()
}

/// Every column but the first, so that digits stand below digits.
fn right_aligned<const N: usize>(mut rows: Vec<[String; N]>) -> Vec<[String; N]> {
    for column in 1..N {
        let width = rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
        rows.iter_mut().for_each(|r| r[column] = format!("{:>width$}", r[column]));
    }
    rows
}
