use std::{collections::BTreeSet, fs};

use proptest::prelude::*;

use super::*;
use crate::{
    dialect::{Loss, Severity},
    usage::{
        Ending, Losses,
        fixture::{dead_run, intent, open_spool, record, spool_in},
        recovery::Recovery,
    },
};

/// So small that a few lines fill a segment.
const TINY: Limits = Limits { max_bytes: 1 << 30, segment_bytes: 1500 };

fn attempt(number: u128) -> AttemptId {
    intent(number).attempt
}

fn begin(spool: &Spool, number: u128) {
    spool.append_intent(&intent(number)).unwrap();
}

fn settle(spool: &Spool, number: u128) {
    spool.append_settled(&record(intent(number), Ending::Completed)).unwrap();
}

/// The segments of the run as they stand on disk, in order.
fn files(spool: &Spool) -> Vec<(u64, Vec<u8>)> {
    let read = |number| fs::read(segment_path(spool.dir(), number)).unwrap();
    spool.segments().into_iter().map(|(number, _)| (number, read(number))).collect()
}

/// Recovers a run of which these files are left, and returns what is settled, and with which ending.
fn recover(files: &[(u64, Vec<u8>)]) -> Vec<(AttemptId, Ending)> {
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("0");
    fs::create_dir(&run).unwrap();
    File::create(run.join("lock")).unwrap();
    for (number, bytes) in files {
        fs::write(segment_path(&run, *number), bytes).unwrap();
    }
    recover_all(root.path())
}

fn recover_all(root: &Path) -> Vec<(AttemptId, Ending)> {
    let (dead, _) = run::find_dead(root, Path::new("")).unwrap();
    let mut settled = Vec::new();
    for run in dead {
        let mut recovery = Recovery::new(run);
        loop {
            let batch = recovery.next().unwrap();
            if batch.is_empty() {
                break;
            }
            settled.extend(batch.iter().map(|it| (it.intent.attempt, it.ending)));
        }
        recovery.finish().unwrap();
    }
    settled
}

/// The files as they would be if only the first `cut` bytes of the run had been written.
fn cut_at(files: &[(u64, Vec<u8>)], cut: usize) -> Vec<(u64, Vec<u8>)> {
    let mut left = cut;
    let mut kept = Vec::new();
    for (number, bytes) in files {
        let len = bytes.len().min(left);
        kept.push((*number, bytes[..len].to_vec()));
        left -= len;
        if len < bytes.len() {
            break;
        }
    }
    kept
}

#[test]
fn wherever_a_run_is_cut_off_each_attempt_is_settled_once() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open_spool(dir.path(), Durability::Process, TINY);
    let mut history = Vec::new();
    let size = || files(&spool).iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    for (number, is_begin) in [(1, true), (2, true), (2, false), (3, true), (1, false)] {
        if is_begin {
            begin(&spool, number);
        } else {
            settle(&spool, number);
        }
        // The line feed at its end may be missing: the check sum says that the line is whole.
        history.push((size() - 1, attempt(number), is_begin));
    }
    let files = files(&spool);
    assert!(files.len() > 1);
    for cut in 0..=size() {
        let mut expected = BTreeMap::new();
        for (end, attempt, is_begin) in &history {
            if *end <= cut {
                expected.insert(*attempt, if *is_begin { Ending::Interrupted } else { Ending::Completed });
            }
        }
        let settled = recover(&cut_at(&files, cut));
        assert_eq!(settled.len(), expected.len(), "cut at {cut}");
        assert_eq!(BTreeMap::from_iter(settled), expected, "cut at {cut}");
    }
}

/// What happens to a spool. A process may die after each.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Settle(prop::sample::Index),
    /// Read some settlements, and have them committed.
    Ship(usize),
    /// The first half of a release.
    Carry,
    /// Both halves.
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Begin),
        3 => any::<prop::sample::Index>().prop_map(Step::Settle),
        2 => (1..4_usize).prop_map(Step::Ship),
        1 => Just(Step::Carry),
        1 => Just(Step::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whenever_the_process_dies_nothing_is_lost_and_nothing_counts_twice(steps in prop::collection::vec(step(), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let spool = open_spool(dir.path(), Durability::Process, TINY);
        let mut tail = Tail::new(spool.dir());
        let mut begun = 0;
        let mut open = Vec::new();
        let mut completed = BTreeSet::new();
        let mut committed = BTreeSet::new();
        for step in steps {
            match step {
                Step::Begin => {
                    begun += 1;
                    begin(&spool, begun);
                    open.push(begun);
                }
                Step::Settle(_) if open.is_empty() => {}
                Step::Settle(which) => {
                    let number = open.swap_remove(which.index(open.len()));
                    settle(&spool, number);
                    completed.insert(attempt(number));
                }
                Step::Ship(count) => {
                    for entry in tail.read(&spool.segments(), count, Intents::Skip).unwrap() {
                        let Entry::Settled(record) = entry else { unreachable!() };
                        prop_assert!(committed.insert(record.intent.attempt), "shipped twice");
                    }
                }
                Step::Carry => spool.carry_open(tail.segment()).unwrap(),
                Step::Release => {
                    spool.carry_open(tail.segment()).unwrap();
                    spool.discard(tail.segment(), tail.damaged()).unwrap();
                }
            }
            let recovered = recover(&files(&spool));
            for (attempt, ending) in &recovered {
                let was_completed = completed.contains(attempt);
                prop_assert_eq!(*ending == Ending::Completed, was_completed, "{} {:?}", attempt, ending);
            }
            let mut ledger = committed.clone();
            ledger.extend(recovered.iter().map(|it| it.0));
            prop_assert_eq!(ledger.len() as u128, begun);
            let distinct: BTreeSet<_> = recovered.iter().map(|it| it.0).collect();
            prop_assert_eq!(distinct.len(), recovered.len());
        }
    }
}

#[test]
fn an_open_intent_outlives_its_segment_and_the_segment_goes() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open_spool(dir.path(), Durability::Process, TINY);
    begin(&spool, 1);
    for number in 2..20 {
        begin(&spool, number);
        settle(&spool, number);
    }
    let mut tail = Tail::new(spool.dir());
    tail.read(&spool.segments(), usize::MAX, Intents::Skip).unwrap();
    let before = spool.stats().bytes;
    spool.carry_open(tail.segment()).unwrap();
    spool.discard(tail.segment(), tail.damaged()).unwrap();
    assert!(spool.stats().bytes < before / 5);
    assert!(recover(&files(&spool)).contains(&(attempt(1), Ending::Interrupted)));
    settle(&spool, 1);
    assert!(recover(&files(&spool)).contains(&(attempt(1), Ending::Completed)));
}

#[test]
fn a_damaged_line_costs_only_itself_and_its_segment_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool_in(dir.path());
    for number in 1..=3 {
        begin(&spool, number);
        settle(&spool, number);
    }
    let path = segment_path(spool.dir(), 1);
    drop(spool);
    let mut bytes = fs::read(&path).unwrap();
    let settlements: Vec<usize> = memchr::memmem::find_iter(&bytes, b"settled").collect();
    bytes[settlements[1] + 40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let settled = BTreeMap::from_iter(recover_all(dir.path()));
    let expected = [(1, Ending::Completed), (2, Ending::Interrupted), (3, Ending::Completed)];
    assert_eq!(settled, expected.into_iter().map(|(number, ending)| (attempt(number), ending)).collect());
    let kept: Vec<_> = fs::read_dir(dir.path().join("damaged")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read(kept[0].as_ref().unwrap().path()).unwrap(), bytes);
}

#[test]
fn a_full_spool_takes_no_intent_and_every_settlement() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open_spool(dir.path(), Durability::Process, Limits { max_bytes: 2000, ..Limits::default() });
    let mut begun = 0;
    let error = loop {
        match spool.append_intent(&intent(begun + 1)) {
            Ok(_) => begun += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { limit: 2000, .. }), "{error}");
    assert!(begun > 0);
    (1..=begun).for_each(|number| settle(&spool, number));
    assert_eq!(recover(&files(&spool)).len() as u128, begun);
}

#[test]
fn a_settlement_the_disk_refuses_is_kept_until_it_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool_in(dir.path());
    begin(&spool, 1);
    let full = Arc::new(OpenOptions::new().append(true).open("/dev/full").unwrap());
    spool.state.lock().file = full;
    settle(&spool, 1);
    assert_eq!((spool.stats().unwritten, spool.stats().open), (1, 1));
    assert!(matches!(spool.append_settled(&record(intent(1), Ending::Failed)), Err(SpoolError::NotOpen(_))));
    // Dying now, the attempt is not forgotten.
    assert_eq!(recover(&files(&spool)), [(attempt(1), Ending::Interrupted)]);
    spool.retry_unwritten();
    assert_eq!((spool.stats().unwritten, spool.stats().open, spool.stats().depth), (0, 0, 1));
    assert_eq!(recover(&files(&spool)), [(attempt(1), Ending::Completed)]);
}

#[test]
fn an_attempt_is_settled_once_and_only_if_it_was_begun() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool_in(dir.path());
    begin(&spool, 1);
    settle(&spool, 1);
    for number in [1, 2] {
        let again = spool.append_settled(&record(intent(number), Ending::Failed));
        assert!(matches!(again, Err(SpoolError::NotOpen(_))));
    }
    assert_eq!(recover(&files(&spool)), [(attempt(1), Ending::Completed)]);
}

#[test]
fn a_living_run_is_left_alone_and_a_dead_one_has_one_recoverer() {
    let dir = tempfile::tempdir().unwrap();
    let first = spool_in(dir.path());
    begin(&first, 1);
    let second = spool_in(dir.path());
    assert!(second.dead_runs().unwrap().is_empty());
    assert!(second.stats().bytes > 0);
    drop(first);
    let third = spool_in(dir.path());
    let recovering = second.dead_runs().unwrap();
    assert_eq!(recovering.len(), 1);
    assert!(third.dead_runs().unwrap().is_empty());
    // The recoverer gives up half-way: the next one finds everything again.
    drop(recovering);
    assert_eq!(third.dead_runs().unwrap().len(), 1);
}

#[test]
fn a_recovery_that_cannot_read_on_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dead = open_spool(dir.path(), Durability::Process, TINY);
    for number in 1..=20 {
        begin(&dead, number);
        settle(&dead, number);
    }
    let (segment, aside) = (segment_path(dead.dir(), 2), dir.path().join("aside"));
    drop(dead);
    let spool = spool_in(dir.path());
    let mut recovery = Recovery::new(spool.dead_runs().unwrap().remove(0));
    fs::rename(&segment, &aside).unwrap();
    assert!(recovery.next().is_err());
    fs::rename(&aside, &segment).unwrap();
    let batch = recovery.next().unwrap();
    assert_eq!(batch.len(), 20);
    assert!(batch.iter().all(|it| it.ending == Ending::Completed));
}

#[test]
fn what_was_lost_is_known_though_the_process_died() {
    let dir = tempfile::tempdir().unwrap();
    let lost = Loss::dropped("/seed", Severity::Semantic, "the model does not take `seed`");
    let losing = Intent { losses: Losses::of(&[lost]), ..intent(1) };
    dead_run(dir.path(), |spool| {
        spool.append_intent(&losing).unwrap();
    });
    let (mut dead, _) = run::find_dead(dir.path(), Path::new("")).unwrap();
    let batch = Recovery::new(dead.remove(0)).next().unwrap();
    assert_eq!(batch.len(), 1);
    assert_eq!((batch[0].ending, &batch[0].intent), (Ending::Interrupted, &losing));
}

#[test]
fn a_half_made_run_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".new-1")).unwrap();
    File::create(dir.path().join(".new-1/lock")).unwrap();
    let spool = spool_in(dir.path());
    assert!(spool.dead_runs().unwrap().is_empty());
    assert!(!dir.path().join(".new-1").exists());
}

#[tokio::test]
async fn a_line_longer_than_the_reader_reads_at_once_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let spool = spool_in(dir.path());
    let long = Intent { model_name: "x".repeat(700_000), ..intent(1) };
    spool.append_intent(&long).unwrap();
    spool.append_settled(&record(long, Ending::Completed)).unwrap();
    begin(&spool, 2);
    let settled = BTreeMap::from_iter(recover(&files(&spool)));
    assert_eq!(settled[&attempt(1)], Ending::Completed);
    assert_eq!(settled[&attempt(2)], Ending::Interrupted);
}

#[tokio::test]
async fn the_disk_confirms_for_all_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open_spool(dir.path(), Durability::Disk, TINY);
    let waits = (1..=50).map(|number| {
        let entry = spool.append_intent(&intent(number)).unwrap();
        spool.durable(entry)
    });
    for done in futures::future::join_all(waits.collect::<Vec<_>>()).await {
        done.unwrap();
    }
    assert_eq!(recover(&files(&spool)).len(), 50);
}

/// `cargo test --lib append_cost -- --ignored --nocapture`
#[test]
#[ignore = "measures, proves nothing"]
#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn append_cost() {
    const COUNT: u32 = 50_000;
    let dir = tempfile::tempdir().unwrap();
    let spool = open_spool(dir.path(), Durability::Process, Limits::default());
    let intents: Vec<Intent> = (0..u128::from(COUNT)).map(intent).collect();
    let begun = std::time::Instant::now();
    for intent in &intents {
        spool.append_intent(intent).unwrap();
    }
    println!("intent: {:?}", begun.elapsed() / COUNT);
    let records: Vec<UsageRecord> = intents.into_iter().map(|it| record(it, Ending::Completed)).collect();
    let begun = std::time::Instant::now();
    for record in &records {
        spool.append_settled(record).unwrap();
    }
    println!("settled: {:?}", begun.elapsed() / COUNT);
}
