use std::collections::HashMap as Map;

use chrono::{Duration as Span, TimeZone};
use proptest::prelude::{Just, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::kernel::clock::ManualClock;

const LIMITED: Outcome = Outcome::RateLimited { after: Some(Duration::from_mins(1)) };

fn upstream() -> UpstreamName {
    UpstreamName::new("main")
}

fn model(name: &str) -> UpstreamModel {
    UpstreamModel::parse(name).unwrap()
}

fn credential(name: &str) -> Credential {
    Credential {
        id: CredentialId::declared(name),
        upstream: upstream(),
        name: name.to_owned(),
        secret: format!("secret-{name}").into(),
        priority: 0,
        weight: 1,
        proxy_url: None,
        models: Vec::new(),
        excluded_models: Vec::new(),
        enabled: true,
        declared: true,
    }
}

fn config(strategy: Strategy, credentials: Vec<Credential>) -> Vec<PoolConfig> {
    vec![PoolConfig { upstream: upstream(), strategy, affinity: None, credentials }]
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, 12, 0, 0).unwrap()
}

/// A pool of `names`, in the order of `fill-first`, at noon.
fn pool(names: &[&str]) -> (Arc<CredentialPool>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(noon()));
    let pool = CredentialPool::new(clock.clone());
    pool.configure(config(Strategy::FillFirst, names.iter().map(|it| credential(it)).collect()));
    (pool, clock)
}

fn lease(pool: &Arc<CredentialPool>, name: &str) -> Result<Lease, NoCredential> {
    pool.lease(&upstream(), &model(name), None, &[])
}

fn leased(pool: &Arc<CredentialPool>, name: &str) -> String {
    lease(pool, name).unwrap().credential().name.clone()
}

fn report(pool: &Arc<CredentialPool>, name: &str, outcome: &Outcome) {
    lease(pool, name).unwrap().report(outcome);
}

fn refusal(pool: &Arc<CredentialPool>, name: &str) -> (NoCredentialReason, Option<i64>) {
    let nobody = lease(pool, name).unwrap_err();
    (nobody.why, nobody.ready_at.map(|it| (it - noon()).num_seconds()))
}

#[test]
fn a_limited_credential_is_passed_over_for_that_model_only() {
    let (pool, clock) = pool(&["one", "two"]);
    report(&pool, "gpt-5", &LIMITED);
    assert_eq!(leased(&pool, "gpt-5"), "two");
    assert_eq!(leased(&pool, "gpt-4o"), "one");
    clock.advance(Span::seconds(60));
    assert_eq!(leased(&pool, "gpt-5"), "one");
}

#[test]
fn an_exhausted_or_refused_credential_is_passed_over_for_every_model() {
    for outcome in [Outcome::Exhausted { resets_at: None }, Outcome::Unauthorized, Outcome::Forbidden] {
        let (pool, _) = pool(&["one", "two"]);
        report(&pool, "gpt-5", &outcome);
        assert_eq!(leased(&pool, "gpt-4o"), "two");
    }
}

#[test]
fn a_request_at_fault_changes_nothing() {
    let (pool, _) = pool(&["one"]);
    let before = pool.snapshot().remove(0).state;
    report(&pool, "gpt-5", &Outcome::Unharmed);
    let after = pool.snapshot().remove(0);
    assert_eq!((after.state, after.models, after.failed), (before, Vec::new(), 0));
    assert!(lease(&pool, "gpt-5").is_ok());
}

#[test]
fn one_probe_at_a_time_is_let_through_and_its_success_opens_the_door() {
    let (pool, clock) = pool(&["one"]);
    report(&pool, "gpt-5", &LIMITED);
    clock.advance(Span::seconds(60));
    let probe = lease(&pool, "gpt-5").unwrap();
    assert_eq!(refusal(&pool, "gpt-5"), (NoCredentialReason::AllCooling, Some(61)));
    probe.report(&Outcome::Success);
    assert!(lease(&pool, "gpt-5").is_ok());
}

#[test]
fn a_probe_that_fails_closes_the_door_for_longer() {
    let (pool, clock) = pool(&["one"]);
    for (seconds, until) in [(0, 1), (1, 3), (2, 7), (4, 15)] {
        clock.advance(Span::seconds(seconds));
        report(&pool, "gpt-5", &Outcome::RateLimited { after: None });
        assert_eq!(refusal(&pool, "gpt-5"), (NoCredentialReason::AllCooling, Some(until)));
    }
}

#[test]
fn a_probe_that_was_given_up_or_takes_long_makes_room_for_another() {
    let (pool, clock) = pool(&["one"]);
    report(&pool, "gpt-5", &LIMITED);
    clock.advance(Span::seconds(60));
    drop(lease(&pool, "gpt-5").unwrap());
    let slow = lease(&pool, "gpt-5").unwrap();
    assert!(lease(&pool, "gpt-5").is_err());
    clock.advance(Span::seconds(5));
    let second = lease(&pool, "gpt-5").unwrap();
    drop(slow);
    assert!(lease(&pool, "gpt-5").is_err(), "the end of the first probe does not end the second");
    drop(second);
    assert!(lease(&pool, "gpt-5").is_ok());
}

#[test]
fn an_answer_that_was_on_its_way_does_not_undo_a_limit_but_proves_that_a_failing_one_works() {
    let (pool, _) = pool(&["one"]);
    let early = lease(&pool, "gpt-5").unwrap();
    report(&pool, "gpt-5", &LIMITED);
    early.report(&Outcome::Success);
    assert!(lease(&pool, "gpt-5").is_err());

    let early = lease(&pool, "gpt-4o").unwrap();
    report(&pool, "gpt-4o", &Outcome::Failing { after: None });
    assert!(lease(&pool, "gpt-4o").is_err());
    early.report(&Outcome::Success);
    assert!(lease(&pool, "gpt-4o").is_ok());
}

#[test]
fn of_credentials_that_rest_the_least_grave_reason_is_told() {
    let why = |outcomes: &[Outcome]| {
        let names = &["one", "two"][..outcomes.len()];
        let (pool, _) = pool(names);
        let leases: Vec<Lease> = (0..outcomes.len())
            .scan(Vec::new(), |tried, _| {
                let lease = pool.lease(&upstream(), &model("gpt-5"), None, tried).unwrap();
                tried.push(lease.credential().id);
                Some(lease)
            })
            .collect();
        for (lease, outcome) in leases.iter().zip(outcomes) {
            lease.report(outcome);
        }
        lease(&pool, "gpt-5").unwrap_err().rest
    };
    let failing = || Outcome::Failing { after: None };
    assert_eq!(why(&[LIMITED]), Some(Rest::Limited));
    assert_eq!(why(&[Outcome::Exhausted { resets_at: None }]), Some(Rest::Limited));
    assert_eq!(why(&[failing()]), Some(Rest::Failing));
    assert_eq!(why(&[Outcome::Unauthorized]), Some(Rest::Refused));
    assert_eq!(why(&[Outcome::Forbidden]), Some(Rest::Refused));
    assert_eq!(why(&[Outcome::Unauthorized, failing()]), Some(Rest::Failing));
    assert_eq!(why(&[failing(), LIMITED]), Some(Rest::Limited));
}

#[test]
fn why_nobody_could_be_leased_is_told_apart() {
    let (pool, _) = pool(&["one", "two"]);
    let ask = |upstream: &str, name: &str, tried: &[CredentialId]| {
        pool.lease(&UpstreamName::new(upstream), &model(name), None, tried).unwrap_err().why
    };
    assert_eq!(ask("other", "gpt-5", &[]), NoCredentialReason::NoneConfigured);
    let both = ["one", "two"].map(CredentialId::declared);
    assert_eq!(ask("main", "gpt-5", &both), NoCredentialReason::AllTried);
    report(&pool, "gpt-5", &LIMITED);
    report(&pool, "gpt-5", &LIMITED);
    assert_eq!(ask("main", "gpt-5", &[]), NoCredentialReason::AllCooling);
    assert_eq!(ask("main", "gpt-5", &both[..1]), NoCredentialReason::AllTried);
    report(&pool, "nonsense", &Outcome::ModelMissing);
    report(&pool, "nonsense", &Outcome::ModelMissing);
    assert_eq!(ask("main", "nonsense", &[]), NoCredentialReason::NoneForModel);
    assert!(both.into_iter().all(|id| pool.disable(id, "leaked")));
    assert_eq!(ask("main", "gpt-4o", &[]), NoCredentialReason::NoneConfigured);
}

#[test]
fn ready_at_is_when_the_first_of_them_can_be_asked_again() {
    let (pool, clock) = pool(&["one", "two"]);
    report(&pool, "gpt-5", &LIMITED);
    report(&pool, "gpt-5", &Outcome::RateLimited { after: Some(Duration::from_secs(20)) });
    assert_eq!(refusal(&pool, "gpt-5"), (NoCredentialReason::AllCooling, Some(20)));
    clock.advance(Span::seconds(20));
    assert_eq!(leased(&pool, "gpt-5"), "two");
}

#[test]
fn lists_of_models_decide_who_serves() {
    let (pool, _) = pool(&[]);
    let mut one = credential("one");
    one.models = vec!["gpt-5*".to_owned()];
    one.excluded_models = vec!["*-preview".to_owned()];
    pool.configure(config(Strategy::FillFirst, vec![one]));
    assert!(lease(&pool, "gpt-5-mini").is_ok());
    assert_eq!(refusal(&pool, "gpt-5-preview").0, NoCredentialReason::NoneForModel);
    assert_eq!(refusal(&pool, "gpt-4o").0, NoCredentialReason::NoneForModel);
}

#[test]
fn a_lower_tier_is_asked_only_when_the_higher_one_rests() {
    let (pool, clock) = pool(&[]);
    let mut high = credential("high");
    high.priority = 10;
    pool.configure(config(Strategy::RoundRobin, vec![credential("low"), high]));
    assert!((0..4).all(|_| leased(&pool, "gpt-5") == "high"));
    report(&pool, "gpt-5", &LIMITED);
    assert_eq!(leased(&pool, "gpt-5"), "low");
    clock.advance(Span::seconds(60));
    assert_eq!(leased(&pool, "gpt-5"), "high");
}

#[test]
fn states_counts_and_rotation_survive_a_reload_and_what_is_gone_is_gone() {
    let (pool, _) = pool(&[]);
    let names = ["one", "two", "three"];
    let all = || config(Strategy::RoundRobin, names.map(credential).to_vec());
    pool.configure(all());
    report(&pool, "gpt-4o", &LIMITED);
    let held = lease(&pool, "gpt-5").unwrap();
    assert_eq!(held.credential().name, "two");
    pool.configure(all());
    assert_eq!(leased(&pool, "gpt-5"), "three");
    let status: Map<_, _> = pool.snapshot().into_iter().map(|it| (it.name.clone(), it)).collect();
    assert_eq!(status["one"].models.len(), 1);
    assert_eq!((status["two"].in_flight, status["two"].leased), (1, 1));
    pool.configure(config(Strategy::RoundRobin, vec![credential("one")]));
    held.report(&Outcome::Unauthorized);
    drop(held);
    assert_eq!(pool.snapshot().len(), 1);
}

#[test]
fn a_new_secret_ends_a_refusal_and_nothing_else() {
    let (pool, _) = pool(&["one"]);
    report(&pool, "gpt-4o", &LIMITED);
    report(&pool, "gpt-5", &Outcome::Unauthorized);
    pool.configure(config(Strategy::FillFirst, vec![credential("one")]));
    assert!(lease(&pool, "gpt-5").is_err());
    let mut mended = credential("one");
    mended.secret = "another".into();
    pool.configure(config(Strategy::FillFirst, vec![mended]));
    assert!(lease(&pool, "gpt-5").is_ok());
    assert!(lease(&pool, "gpt-4o").is_err());
}

#[test]
fn an_operator_resets_disables_and_enables() {
    let (pool, _) = pool(&["one"]);
    let id = CredentialId::declared("one");
    report(&pool, "gpt-5", &Outcome::Exhausted { resets_at: None });
    assert!(pool.reset(id));
    assert!(lease(&pool, "gpt-5").is_ok());
    assert!(pool.disable(id, "rotating"));
    pool.reset(id);
    assert!(lease(&pool, "gpt-5").is_err());
    assert_eq!(pool.snapshot()[0].state, QuotaState::Disabled { reason: "rotating".to_owned() });
    assert!(pool.enable(id));
    assert!(lease(&pool, "gpt-5").is_ok());
    assert!(!pool.enable(CredentialId::declared("nobody")));
}

#[test]
fn models_named_by_clients_do_not_fill_the_memory_nor_push_out_what_matters() {
    let (pool, _) = pool(&["one"]);
    report(&pool, "gpt-5", &LIMITED);
    for number in 0..1200 {
        report(&pool, &format!("nonsense-{number}"), &Outcome::ModelMissing);
    }
    assert_eq!(pool.snapshot()[0].models.len(), 1024);
    assert!(lease(&pool, "gpt-5").is_err());
}

#[test]
fn secrets_are_in_no_debug_text() {
    let (pool, _) = pool(&["one"]);
    let lease = lease(&pool, "gpt-5").unwrap();
    let nobody = pool.lease(&upstream(), &model("x"), None, &[lease.credential().id]).unwrap_err();
    let text = format!("{lease:?} {nobody:?} {nobody} {:?}", pool.snapshot());
    assert!(!text.contains("secret-one"), "{text}");
}

#[test]
fn leases_of_many_threads_are_counted_exactly() {
    let (pool, _) = pool(&[]);
    let credentials = ["one", "two", "three"].map(credential).to_vec();
    pool.configure(config(Strategy::LeastBusy, credentials.clone()));
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let (pool, credentials) = (&pool, &credentials);
            threads.spawn(move || {
                for turn in 0..300 {
                    let held: Vec<_> = (0..3).map(|_| lease(pool, "gpt-5").unwrap()).collect();
                    let in_flight: u32 = pool.snapshot().iter().map(|it| it.in_flight).sum();
                    assert!((3..=24).contains(&in_flight));
                    held[0].report(&Outcome::Success);
                    if thread == 0 && turn % 50 == 0 {
                        pool.configure(config(Strategy::LeastBusy, credentials.clone()));
                    }
                }
            });
        }
    });
    let statuses = pool.snapshot();
    assert!(statuses.iter().all(|it| it.in_flight == 0));
    assert_eq!(statuses.iter().map(|it| it.leased).sum::<u64>(), 8 * 300 * 3);
    assert_eq!(statuses.iter().map(|it| it.succeeded).sum::<u64>(), 8 * 300);
}

#[test]
fn the_least_busy_are_never_more_than_one_apart() {
    let (pool, _) = pool(&[]);
    pool.configure(config(Strategy::LeastBusy, ["one", "two", "three"].map(credential).to_vec()));
    let held: Vec<_> = (0..10).map(|_| lease(&pool, "gpt-5").unwrap()).collect();
    let mut busy: Vec<_> = pool.snapshot().iter().map(|it| it.in_flight).collect();
    busy.sort_unstable();
    assert_eq!((busy, held.len()), (vec![3, 3, 4], 10));
}

proptest! {
    /// Requests that nobody can serve, for whatever reason, leave the sequence of the others as it was.
    #[test]
    fn requests_nobody_can_serve_do_not_move_the_rotation(
        between in prop::collection::vec(any::<bool>(), 30),
        weights in prop::collection::vec(1..6_u32, 3),
    ) {
        let names = ["one", "two", "three"];
        let weighted = || names.iter().zip(&weights).map(|(name, weight)| {
            let mut credential = credential(name);
            credential.weight = *weight;
            credential.excluded_models = vec!["nobodys".to_owned()];
            credential
        });
        let (plain, mixed) = (pool(&[]).0, pool(&[]).0);
        for pool in [&plain, &mixed] {
            pool.configure(config(Strategy::WeightedRoundRobin, weighted().collect()));
        }
        for disturb in between {
            if disturb {
                assert!(lease(&mixed, "nobodys").is_err());
                let all = names.map(CredentialId::declared);
                assert!(mixed.lease(&upstream(), &model("gpt-5"), None, &all).is_err());
            }
            prop_assert_eq!(leased(&plain, "gpt-5"), leased(&mixed, "gpt-5"));
        }
    }

    /// Whatever happens, there comes a time at which every credential is lent again.
    #[test]
    fn nobody_is_lost_for_ever(
        events in prop::collection::vec(
            (
                prop_oneof![
                    Just(Outcome::Success),
                    Just(Outcome::Unharmed),
                    Just(Outcome::RateLimited { after: None }),
                    Just(LIMITED),
                    Just(Outcome::Failing { after: None }),
                    Just(Outcome::Exhausted { resets_at: None }),
                    Just(Outcome::Unauthorized),
                    Just(Outcome::ModelMissing),
                ],
                0..4000_i64,
            ),
            0..40,
        ),
    ) {
        let (pool, clock) = pool(&["one", "two"]);
        let mut held = Vec::new();
        for (outcome, seconds) in events {
            if let Ok(lease) = lease(&pool, "gpt-5") {
                lease.report(&outcome);
                held.push(lease);
            }
            clock.advance(Span::seconds(seconds));
            if seconds % 3 == 0 {
                held.clear();
            }
        }
        clock.advance(Span::days(9));
        let first = lease(&pool, "gpt-5").unwrap();
        let second = pool.lease(&upstream(), &model("gpt-5"), None, &[first.credential().id]).unwrap();
        assert_ne!(first.credential().id, second.credential().id);
    }
}
