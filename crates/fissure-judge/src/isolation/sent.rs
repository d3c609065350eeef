//! What requests carried that differs from control to control: mostly values that an earlier answer gave.

use fissure_facts::shadow::ShadowedStep;

use super::compare::Place;
use super::leaves::parts;

/// A word of a request, as each stack was sent it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub place: Place,
    /// In each control.
    pub values: Vec<String>,
    /// In each candidate; None: it did not come this far, or was asked something of another form.
    pub got: Vec<Option<String>>,
}

/// The words that vary. `candidates` are those that came this far, of `all`.
pub(super) fn sent(
    place: &Place,
    controls: &[&ShadowedStep],
    candidates: &[(usize, &ShadowedStep)],
    all: usize,
) -> Vec<Sent> {
    let known: Vec<Vec<&str>> = controls.iter().map(|step| carried(step)).collect();
    let Some(first) = known.first() else { return Vec::new() };
    if known.iter().any(|words| words.len() != first.len()) {
        return Vec::new();
    }
    let got: Vec<(usize, Vec<&str>)> = candidates.iter().map(|(i, step)| (*i, carried(step))).collect();
    let word = |at: usize| {
        let mut of_candidates = vec![None; all];
        for (i, words) in got.iter().filter(|(_, words)| words.len() == first.len()) {
            of_candidates[*i] = Some(words[at].to_owned());
        }
        let values = known.iter().map(|words| words[at].to_owned()).collect();
        Sent { place: place.clone(), values, got: of_candidates }
    };
    let varies = |at: &usize| known.iter().any(|words| words[*at] != first[*at]);
    (0..first.len()).filter(varies).map(word).collect()
}

/// The words of a step's requests. The port of whoever is asked is no value that was given.
fn carried(step: &ShadowedStep) -> Vec<&str> {
    let mut words = Vec::new();
    for exchange in &step.exchanges {
        let asked = &exchange.request;
        let body = std::str::from_utf8(&asked.body.bytes).unwrap_or_default();
        let headers = asked.headers.iter().map(|(_, value)| value.as_str());
        for text in std::iter::once(asked.target.as_str()).chain(headers).chain([body]) {
            let given = parts(text).into_iter().filter(|part| !part.is_port && !part.word.is_empty());
            words.extend(given.map(|part| part.word));
        }
    }
    words
}
