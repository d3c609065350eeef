//! The hours of a day from a file: an access log (common, combined, JSON lines), or CSV with `hour,rate`.

use crate::users::import::log;

const HOUR_S: f64 = 3600.0;
/// A month: a longer log is about more than a day's shape.
const HOURS_MAX: usize = 24 * 31;

/// Requests per second of each hour, in order.
pub fn parse(text: &str) -> Result<Vec<f64>, String> {
    let first = text.lines().find(|l| !l.trim().is_empty()).ok_or("it is empty")?;
    let rates = if log::time_of(first).is_some() { from_log(text) } else { from_csv(text) }?;
    if rates.len() > HOURS_MAX {
        return Err(format!("it spans {} hours: a month is the most", rates.len()));
    }
    if rates.iter().all(|rate| *rate <= 0.0) {
        return Err("it holds no load: every hour is 0".to_owned());
    }
    Ok(rates)
}

/// Hours count from the first line; the last one is as long as the log goes on. Lines of another kind are skipped, because
/// logs hold those of every broken client.
fn from_log(text: &str) -> Result<Vec<f64>, String> {
    let times: Vec<i64> = text.lines().filter_map(log::time_of).collect();
    let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) else {
        return Err("no line has a time".to_owned());
    };
    let length_s = (last - first + 1) as f64;
    let hours = (length_s / HOUR_S).ceil() as usize;
    if hours > HOURS_MAX {
        return Err(format!("it spans {hours} hours: a month is the most"));
    }
    let mut counts = vec![0.0; hours];
    for time in times {
        counts[((time - first) as f64 / HOUR_S) as usize] += 1.0;
    }
    let seconds = |hour: usize| (length_s - hour as f64 * HOUR_S).min(HOUR_S);
    Ok(counts.into_iter().enumerate().map(|(hour, count)| count / seconds(hour)).collect())
}

/// `hour,rate` lines with rising hours, a header or none; an hour that is left out has no load.
fn from_csv(text: &str) -> Result<Vec<f64>, String> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut rates: Vec<(usize, f64)> = Vec::new();
    for (n, row) in reader.records().enumerate() {
        let row = row.map_err(|e| e.to_string())?;
        let fields = (
            row.get(0).and_then(|f| f.parse::<usize>().ok()),
            row.get(1).and_then(|f| f.parse::<f64>().ok()),
        );
        match fields {
            (Some(hour), Some(rate)) if rate.is_finite() && rate >= 0.0 => rates.push((hour, rate)),
            _ if n == 0 => {} // the names of the columns
            _ => {
                return Err(format!(
                    "line {} is neither `hour,rate` (like `13,250.5`) nor a line of an access log",
                    row.position().map_or(n as u64 + 1, csv::Position::line)
                ));
            }
        }
    }
    if !rates.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("its hours do not rise".to_owned());
    }
    let (Some(&(first, _)), Some(&(last, _))) = (rates.first(), rates.last()) else {
        return Err("no line is `hour,rate` or one of an access log".to_owned());
    };
    if last - first >= HOURS_MAX {
        return Err(format!("it spans {} hours: a month is the most", last - first));
    }
    let mut all = vec![0.0; last - first + 1];
    rates.into_iter().for_each(|(hour, rate)| all[hour - first] = rate);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(time: &str) -> String {
        format!("192.0.2.7 - - [{time}] \"GET /a[1] HTTP/1.1\" 200 17 \"-\" \"curl\"\n")
    }

    #[test]
    fn a_log_becomes_the_rates_of_its_hours() {
        let mut log = "garbage \u{16}\u{3}\n".to_owned();
        log.insert_str(0, &line("25/Nov/2026:10:00:00 +0000"));
        (0..3599).for_each(|_| log += &line("25/Nov/2026:10:30:00 +0000"));
        // The same hour elsewhere on the globe, then half an hour of twice the rate.
        (0..3600).for_each(|_| log += &line("25/Nov/2026:13:15:00 +0200"));
        log += &line("25/Nov/2026:11:29:59 +0000");
        let rates = parse(&log).unwrap();
        assert_eq!(rates.len(), 2);
        assert!((rates[0] - 1.0).abs() < 1e-9 && (rates[1] - 3601.0 / 1800.0).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn a_table_of_hours_is_read_with_or_without_names() {
        assert_eq!(parse("hour,rate\n8, 10\n9,20.5\n11,5\n"), Ok(vec![10.0, 20.5, 0.0, 5.0]));
        assert_eq!(parse("0,1\n1,2\n"), Ok(vec![1.0, 2.0]));
        for (wrong, part) in [
            ("", "empty"),
            ("a,b\nc,d\n", "line 2"),
            ("1,2\n1,3\n", "rise"),
            ("1,0\n", "no load"),
            ("1,nan\n", "no line"),
        ] {
            assert!(parse(wrong).unwrap_err().contains(part), "{wrong}: {:?}", parse(wrong));
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in "\\PC{0,80}", like in "[0-9,\\n:/\\[\\] +a-z-]{0,80}", day in 0u32..40, hour in 0u32..30) {
            let log = line(&format!("{day}/Nov/2026:{hour}:00:00 +0000")) + &like;
            for text in [text, like, log] {
                let _ = parse(&text);
            }
        }
    }
}
