//! Every sentence is whole, finite and says what to try; and the exit status is the published one.

use std::collections::BTreeSet;

use fissure_facts::{Address, Estimate};
use fissure_judge::Judgement;
use fissure_judge::judgement::{
    DatabaseWork, DearStatement, Doubt, FullReads, HeldBack, Missing, Questions, Resource, SoloMiss, Unasked,
    Verdict, WrongAnswer,
};
use fissure_show::words;

use crate::fixtures;

fn is_a_sentence(text: &str) {
    assert!(text.ends_with('.'), "no full stop: {text}");
    assert!(!text.contains("..") && !text.contains("  "), "careless: {text}");
    assert!(
        text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '`'),
        "starts low: {text}"
    );
    is_finite(text);
}

fn is_finite(text: &str) {
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    assert!(!words.contains("NaN") && !words.contains("inf") && !words.contains("None"), "{text}");
}

/// Fails to compile when a variant is added, so that the list of fixtures follows.
fn number_of_missing(missing: &Missing) -> usize {
    match missing {
        Missing::NotStarted { .. } => 0,
        Missing::JourneyFails { .. } => 1,
        Missing::Void { .. } => 2,
        Missing::Interrupted => 3,
        Missing::OutOfTime => 4,
        Missing::SomethingWaits { .. } => 5,
        Missing::NothingHelps { .. } => 6,
        Missing::SoloWaits { .. } => 7,
        Missing::Errors { .. } => 8,
        Missing::Died { .. } => 9,
        Missing::TooClose { .. } => 10,
        Missing::TwoLimits { .. } => 11,
        Missing::LinesUnseen { engine: None, .. } => 12,
        Missing::LinesUnseen { engine: Some(_), .. } => 13,
    }
}

fn number_of_doubt(doubt: &Doubt) -> usize {
    match doubt {
        Doubt::VoidWindows { .. } => 0,
        Doubt::ControlDiffers { .. } => 1,
        Doubt::RareRoute { .. } => 2,
        Doubt::SharedCpus => 3,
        Doubt::PredictionOff { .. } => 4,
        Doubt::VagueDemand { .. } => 5,
        Doubt::ConnectionChurn { .. } => 6,
        Doubt::WideInterval { .. } => 7,
        Doubt::LittleHeadroom { .. } => 8,
        Doubt::LongVisits { .. } => 9,
        Doubt::CollectorStops(_) => 10,
    }
}

#[test]
fn every_reason_and_every_doubt_has_a_whole_sentence() {
    let (run, judgement) = (fixtures::run(), fixtures::split());
    let mut said = BTreeSet::new();
    for (i, missing) in fixtures::every_missing().iter().enumerate() {
        assert_eq!(number_of_missing(missing), i);
        let text = words::missing(&run, &judgement, missing);
        is_a_sentence(&text);
        assert!(said.insert(text));
    }
    for (i, doubt) in fixtures::every_doubt().iter().enumerate() {
        assert_eq!(number_of_doubt(doubt), i);
        let sentences = words::doubts(std::slice::from_ref(doubt));
        assert_eq!(sentences.len(), 1);
        is_a_sentence(&sentences[0]);
        assert!(said.insert(sentences[0].clone()));
    }
}

#[test]
fn every_verdict_has_a_whole_sentence_and_whole_details() {
    let run = fixtures::run();
    let alone = fixtures::every_missing().into_iter().map(|m| fixtures::not_enough(vec![m]));
    let named = fixtures::every_judgement().into_iter().map(|(_, judgement)| judgement);
    for judgement in named.chain(alone) {
        is_a_sentence(&words::verdict_sentence(&run, &judgement));
        for line in words::details(&run, &judgement) {
            is_finite(&line);
            assert!(line.ends_with('.') || line.starts_with("The app printed: "), "{line}");
        }
    }
}

#[test]
fn resources_have_names_of_their_own() {
    let all = [
        Resource::Cpu,
        Resource::OneThread,
        Resource::Lock,
        Resource::Pool,
        Resource::Database,
        Resource::Downstream,
        Resource::Disk,
        Resource::Memory,
        Resource::NotTheApp,
    ];
    assert_eq!(all.map(words::resource).into_iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn numbers_that_are_not_finite_reach_no_text() {
    let run = fixtures::run();
    let nothing = Estimate::new(f64::NAN, f64::NEG_INFINITY, f64::INFINITY);
    let mut judgement = fixtures::split();
    judgement.capacity.as_mut().unwrap().users_at_once = nothing;
    judgement.saturation_per_s = Some(nothing);
    judgement.demands[0].cpu_ms = nothing;
    judgement.goal.users_per_s = 0.0;
    for remedy in &mut judgement.remedies {
        remedy.capacity_ratio = Some(nothing);
        remedy.predicted = Some(nothing);
        remedy.latency_ratio.values_mut().for_each(|c| c.ratio = nothing);
    }
    for point in &mut judgement.curve {
        point.routes.values_mut().for_each(|l| l.p95_ms = f64::NAN);
    }
    is_finite(&fissure_show::html::report(&run, &judgement));
    is_finite(&fissure_show::terminal::report(&run, &judgement, 80));
    is_finite(&fissure_show::json::report(&run, &judgement).to_string());
}

#[test]
fn the_exit_status_is_the_published_one() {
    let status = |reasons: Vec<Missing>| words::exit_status(&fixtures::not_enough(reasons));
    for missing in fixtures::every_missing() {
        let wanted = match missing {
            Missing::NotStarted { .. } => 69,
            Missing::Interrupted => 130,
            _ => 2,
        };
        assert_eq!(status(vec![missing]), wanted);
    }
    assert_eq!(status(Vec::new()), 2);
    assert_eq!(status(vec![Missing::OutOfTime, Missing::Interrupted]), 130);
}

#[test]
fn a_remedy_that_is_not_in_the_list_is_told_not_a_panic() {
    let run = fixtures::run();
    let judgement = fixtures::judged(Verdict::Remedy { index: 99 });
    is_a_sentence(&words::verdict_sentence(&run, &judgement));
    fissure_show::html::report(&run, &judgement);
    fissure_show::terminal::report(&run, &judgement, 80);
    fissure_show::json::report(&run, &judgement);
}

#[test]
fn the_load_of_the_rehearsal_is_the_one_that_was_played() {
    let run = fixtures::run();
    let sentence = |j: &Judgement| words::verdict_sentence(&run, j);
    assert!(sentence(&fixtures::split()).contains("at that load"));
    let mut halfway = fixtures::add_replicas();
    halfway.remedies[1].latency_ratio = halfway.remedies[2].latency_ratio.clone();
    assert!(sentence(&halfway).contains("at 50 % of that load"), "{}", sentence(&halfway));
}

#[test]
fn a_resume_line_claims_only_what_is_clear() {
    let run = fixtures::run();
    assert!(words::resume(&run, &fixtures::split()).unwrap().contains("fell 93 %"));
    assert!(words::resume(&run, &fixtures::holding_up()).is_some());
    let mut unclear = fixtures::split();
    unclear.remedies[2].latency_ratio.values_mut().for_each(|c| c.ratio = Estimate::new(0.9, 0.7, 1.1));
    unclear.remedies[2].capacity_ratio = Some(Estimate::new(1.1, 0.9, 1.3));
    assert_eq!(words::resume(&run, &unclear), None);
    for judgement in [fixtures::scale_out(), fixtures::fix_these_lines(), fixtures::not_enough(Vec::new())] {
        assert_eq!(words::resume(&run, &judgement), None);
    }
}

#[test]
fn many_doubts_of_one_kind_are_one_sentence_that_names_every_route() {
    let rare = |path: &str| Doubt::RareRoute { route: fixtures::route(path), requests: 3 };
    let vague = |path: &str| Doubt::VagueDemand { route: fixtures::route(path) };
    let doubts = [
        rare("GET /a"),
        vague("GET /b"),
        rare("GET /c"),
        Doubt::SharedCpus,
        vague("GET /d"),
        vague("GET /e"),
    ];
    let said = words::doubts(&doubts);
    assert_eq!(said.len(), 3, "{said:?}");
    said.iter().for_each(|s| is_a_sentence(s));
    assert!(
        said[0].starts_with("`GET /a` (3 times) and `GET /c` (3 times) were met too rarely"),
        "{}",
        said[0]
    );
    assert!(said[1].contains("`GET /b`, `GET /d` and `GET /e`"), "{}", said[1]);
}

/// A capacity that was never reached was once shown with the interval of a guess.
#[test]
fn a_capacity_that_was_not_reached_is_told_as_at_least() {
    let run = fixtures::run();
    let mut judgement = fixtures::split();
    judgement.remedies[2].capacity.as_mut().unwrap().at_least = true;
    assert_eq!(words::measured(&judgement.remedies[2]), "at least 2.1");
    let page = fissure_show::html::report(&run, &judgement);
    let text = fissure_show::terminal::report(&run, &judgement, 110);
    let json = fissure_show::json::report(&run, &judgement);
    for shown in [&page, &text] {
        assert!(shown.contains("at least 2.1") && !shown.contains("2.1 (1.9"), "{shown}");
    }
    assert!(page.contains("at least 48 users at once"));
    assert_eq!(json["remedies"][2]["capacity"]["at_least"], true);
    assert_eq!(json["capacity"]["at_least"], false);

    let mut holding = fixtures::holding_up();
    holding.capacity.as_mut().unwrap().at_least = true;
    let sentence = words::verdict_sentence(&run, &holding);
    assert!(
        sentence.contains("holds at least 73.2 users at once, at least 1.8 times the goal"),
        "{sentence}"
    );
    assert!(!sentence.contains("break"), "nothing was seen to break: {sentence}");
    assert!(words::resume(&run, &holding).unwrap().contains("at least 1.8 times the goal"));
    assert_eq!(fissure_show::json::report(&run, &holding)["capacity"]["at_least"], true);
}

/// A real report said "not worth trying" eight times, each with the prediction that stood beside it.
#[test]
fn remedies_that_were_not_rehearsed_for_the_same_reason_share_a_sentence() {
    let mut remedies = fixtures::split().remedies;
    for (remedy, by) in remedies.iter_mut().zip(["1.01", "1.02"]) {
        remedy.not_rehearsed = Some(format!("predicted {by} times the whole's capacity: not worth trying"));
    }
    let said = words::not_rehearsed(&remedies);
    assert_eq!(said.len(), 1, "{said:?}");
    is_a_sentence(&said[0]);
    assert!(said[0].contains("(not worth trying)") && !said[0].contains("whole's"), "{}", said[0]);
    assert!(said[0].contains("2 copies") && said[0].contains("at most 2 `POST /photos`"), "{}", said[0]);
}

/// Of copies whose sessions were lost the report said that they hold 6 requests/s.
#[test]
fn a_remedy_that_answers_wrongly_is_told_as_wrong_and_not_as_slow() {
    let (run, mut judgement) = (fixtures::run(), fixtures::split());
    judgement.remedies[0].meets_goal = Some(false);
    judgement.remedies[0].wrong = Some(WrongAnswer {
        route: "GET /receipts/{receipt}".parse().unwrap(),
        share: Estimate::new(0.62, 0.58, 0.66),
        problem: "line 14: expected status 200, got 404".to_owned(),
    });
    let details = words::details(&run, &judgement);
    let said = details.iter().find(|line| line.starts_with("Simpler, but wrong")).unwrap();
    is_a_sentence(said);
    assert!(
        said.contains("62 % (58 to 66) of the answers to `GET /receipts/{receipt}`")
            && said.contains("got 404"),
        "{said}"
    );
    assert_eq!(words::outcome(&judgement.remedies[0]), "answers wrongly");
    assert_eq!(words::measured(&judgement.remedies[0]), words::NOTHING);
    let json = fissure_show::json::report(&run, &judgement);
    assert_eq!(json["remedies"][0]["wrong"]["share"]["mid"], 0.62);
}

#[test]
fn what_a_database_works_at_is_told_with_its_usual_cure() {
    let (run, mut judgement) = (fixtures::run(), fixtures::split());
    let dear = DearStatement {
        text: "SELECT * FROM records WHERE label = ?".to_owned(),
        share: Estimate::new(0.94, 0.88, 0.97),
        locked_share: Estimate::new(0.0, 0.0, 0.01),
        reads: Some(FullReads { table: "records".to_owned(), rows: 200_000, times_per_s: 42.0 }),
    };
    let locked = DearStatement { locked_share: Estimate::new(0.9, 0.8, 0.95), reads: None, ..dear.clone() };
    let work = |dear: Option<DearStatement>, rests_behind: Option<&str>| DatabaseWork {
        link: "db".to_owned(),
        at_work: 7.6,
        dear,
        resting: 4.2,
        rests_behind: rests_behind.map(str::to_owned),
    };
    for (work, said) in [
        (work(Some(dear), None), "an index"),
        (work(Some(locked), None), "a lock that another transaction holds"),
        (work(None, Some("SELECT ?")), "rest inside an open transaction"),
    ] {
        judgement.databases = vec![work];
        let details = words::details(&run, &judgement);
        let line = details.iter().find(|line| line.contains(said)).unwrap_or_else(|| panic!("{details:?}"));
        is_a_sentence(line);
        assert_eq!(fissure_show::json::report(&run, &judgement)["databases"][0]["at_work"], 7.6);
    }
}

/// The framework's 63 small questions were told to be those of a list.
#[test]
fn what_every_request_asks_is_not_told_to_be_row_by_row() {
    let (run, mut judgement) = (fixtures::run(), fixtures::split());
    judgement.questions = vec![Questions {
        address: Address::from("127.0.0.1:3306".to_owned()),
        name: Some("db".to_owned()),
        is_database: true,
        route: Some("GET /index.php".parse().unwrap()),
        per_request: 63.0,
        by_others: Some(41.0),
        asked_at: None,
    }];
    let details = words::details(&run, &judgement);
    let line = details.iter().find(|line| line.contains("asks `db`")).unwrap();
    is_a_sentence(line);
    assert!(line.contains("If that is") && !line.contains("as if"), "{line}");
}

/// A timer's job on an event loop: a twentieth of what runs flat out, and all that runs while hardly anybody asks.
#[test]
fn what_runs_by_itself_is_told_with_its_place_and_that_copies_are_no_cure() {
    let (run, mut judgement) = (fixtures::run(), fixtures::fix_own_lines());
    let places = judgement.limit.as_ref().unwrap().place.clone();
    judgement.unasked = Some(Unasked { places, cores: 0.18 });
    let sentence = words::verdict_sentence(&run, &judgement);
    is_a_sentence(&sentence);
    for said in ["`total` (`src/orders.js:71`)", "18 % of a CPU", "neither copies"] {
        assert!(sentence.contains(said), "{sentence}");
    }
    assert_eq!(fissure_show::json::report(&run, &judgement)["unasked"]["cores"], 0.18);
}

/// A page asked 121 questions, one for each of its rows and more, and nobody was told.
#[test]
fn what_is_asked_row_by_row_is_told_with_its_usual_cure() {
    let (run, mut judgement) = (fixtures::run(), fixtures::split());
    let of_database = Questions {
        address: Address::from("127.0.0.1:5432".to_owned()),
        name: Some("db".to_owned()),
        is_database: true,
        route: Some("GET /products".parse().unwrap()),
        per_request: 121.4,
        by_others: Some(1.2),
        asked_at: judgement.limit.as_ref().map(|limit| limit.place[0].clone()),
    };
    let of_service =
        Questions { name: None, is_database: false, route: None, by_others: None, ..of_database.clone() };
    judgement.questions = vec![of_database, of_service];
    let details = words::details(&run, &judgement);
    for said in [
        "`GET /products` asks `db` about 121 times (one of the other routes 1.2)",
        "A request asks `127.0.0.1:5432`",
    ] {
        let line = details.iter().find(|line| line.contains(said)).unwrap_or_else(|| panic!("{details:?}"));
        is_a_sentence(line);
    }
    assert_eq!(fissure_show::json::report(&run, &judgement)["questions"][0]["per_request"], 121.4);
    judgement.verdict = Verdict::FixTheseLines { routes: Vec::new() };
    judgement.fix = None;
    let sentence = words::verdict_sentence(&run, &judgement);
    is_a_sentence(&sentence);
    assert!(sentence.starts_with("Ask once") && sentence.contains(", in `upload`"), "{sentence}");
    // Where everybody waits for a connection meanwhile, more connections are not the cure.
    let mut locked = fixtures::fix_the_lock();
    locked.limit.as_mut().unwrap().resource = Resource::Pool;
    locked.questions.clone_from(&judgement.questions);
    let sentence = words::verdict_sentence(&run, &locked);
    is_a_sentence(&sentence);
    assert!(sentence.starts_with("Ask once") && !sentence.contains("Let more in"), "{sentence}");
}

#[test]
fn a_call_that_blocks_an_event_loop_is_told_with_its_sibling() {
    let (run, mut judgement) = (fixtures::run(), fixtures::split());
    let limit = judgement.limit.as_mut().unwrap();
    limit.resource = Resource::OneThread;
    limit.place[0].inside = Some("pbkdf2Sync".to_owned());
    let details = words::details(&run, &judgement);
    let line = details.iter().find(|line| line.contains("blocks the event loop")).unwrap();
    is_a_sentence(line);
    assert!(line.contains("in `pbkdf2Sync`: `pbkdf2` does the same"), "{line}");
}

#[test]
fn answers_that_wait_to_be_acknowledged_are_told_with_their_cure() {
    let (run, mut judgement) = (fixtures::run(), fixtures::split());
    judgement.held_back =
        vec![HeldBack { route: "GET /search".parse().unwrap(), latency_ms: 41.3, acknowledged_ms: 0.8 }];
    let told = words::details(&run, &judgement);
    let told = told.iter().find(|line| line.contains("acknowledge")).unwrap();
    is_a_sentence(told);
    for part in ["`GET /search`", "41.3 ms", "0.8 ms", "TCP_NODELAY"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    judgement.verdict = Verdict::FixTheseLines {
        routes: vec![SoloMiss {
            route: "GET /search".parse().unwrap(),
            latency_ms: 41.3,
            cpu_ms: 0.2,
            limit_ms: 20.0,
        }],
    };
    let sentence = words::verdict_sentence(&run, &judgement);
    is_a_sentence(&sentence);
    assert!(
        sentence.starts_with("Send answers in one piece: even alone `GET /search` takes 41.3 ms"),
        "{sentence}"
    );
}
