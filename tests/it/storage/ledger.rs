//! The ledger: each attempt once, and sums that say the same as the rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use dragoman::{
    dialect::{Loss, Severity, TokenUsage},
    kernel::{
        id::{AttemptId, CredentialId, RequestId, TenantId, TenantKeyId},
        money::NanoUsd,
    },
    storage::{Database, SqlLedger, SqlTenants},
    tenant::{KeyHash, Source, Tenant, TenantKey, TenantRepository as _},
    usage::{
        AttemptQuery, Dimension, Ending, GroupValue, Intent, Ledger as _, LedgerError, Losses, ReportQuery,
        ReportRow, Totals, UsageRecord,
    },
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 / 86_400 * 86_400 + 43_200, 0).unwrap()
}

fn record(tenant: TenantId) -> UsageRecord {
    UsageRecord {
        intent: Intent {
            attempt: AttemptId::new(),
            request: RequestId::new(),
            number: 1,
            tenant,
            key: TenantKeyId::declared("key"),
            credential: CredentialId::declared("credential"),
            upstream: "upstream".to_owned(),
            client_dialect: "openai-chat".to_owned(),
            upstream_dialect: "anthropic-messages".to_owned(),
            model_name: "model".to_owned(),
            upstream_model: "upstream-model".to_owned(),
            streamed: true,
            operation: "chat".to_owned(),
            estimated_input: 17,
            started_at: noon(),
            losses: None,
        },
        ending: Ending::Completed,
        error: None,
        status: Some(200),
        finish: Some("stop".to_owned()),
        upstream_id: Some("msg_1".to_owned()),
        answered_model: None,
        usage: TokenUsage { input: Some(10), output: Some(5), ..TokenUsage::default() },
        estimated: false,
        cost: None,
        first_byte_ms: Some(40),
        duration_ms: 100,
        ended_at: noon() + TimeDelta::milliseconds(100),
    }
}

fn everything(by: &[Dimension], tenant: TenantId) -> ReportQuery {
    ReportQuery {
        since: noon() - TimeDelta::days(30),
        until: noon() + TimeDelta::days(30),
        by: by.to_vec(),
        tenant: Some(tenant),
        after: None,
        limit: 1000,
    }
}

fn all_of(tenant: TenantId) -> AttemptQuery {
    AttemptQuery { tenant: Some(tenant), request: None, after: None, limit: 10_000 }
}

async fn total(ledger: &SqlLedger, tenant: TenantId) -> Totals {
    let rows = ledger.report(&everything(&[], tenant)).await.unwrap();
    assert_eq!(rows.len(), 1);
    rows[0].totals
}

/// What a report should say of these attempts.
fn sum<'a>(records: impl IntoIterator<Item = &'a UsageRecord>) -> Totals {
    let mut sum = Totals::default();
    for it in records {
        let usage = it.usage;
        let ended = |ending| u64::from(it.ending == ending);
        sum.attempts += 1;
        sum.completed += ended(Ending::Completed);
        sum.failed += ended(Ending::Failed);
        sum.abandoned += ended(Ending::Abandoned);
        sum.truncated += ended(Ending::Truncated);
        sum.interrupted += ended(Ending::Interrupted);
        sum.estimated += u64::from(it.estimated);
        sum.input += usage.input.unwrap_or(0);
        sum.cache_read += usage.cache_read.unwrap_or(0);
        sum.cache_write += usage.cache_write();
        sum.output += usage.output.unwrap_or(0);
        sum.reasoning += usage.reasoning.unwrap_or(0);
        sum.audio_input += usage.audio_input.unwrap_or(0);
        sum.audio_output += usage.audio_output.unwrap_or(0);
        sum.image_input += usage.image_input.unwrap_or(0);
        sum.web_searches += usage.web_searches.unwrap_or(0);
        sum.web_fetches += usage.web_fetches.unwrap_or(0);
        sum.cost.0 += it.cost.map_or(0, |it| it.0);
        sum.unpriced += u64::from(it.cost.is_none());
        sum.duration_ms += it.duration_ms;
        sum.first_byte_ms += it.first_byte_ms.unwrap_or(0);
        sum.first_bytes += u64::from(it.first_byte_ms.is_some());
    }
    sum
}

fn tokens() -> impl Strategy<Value = TokenUsage> {
    let some = || prop::option::of(0..100_000_u64);
    ([some(), some(), some(), some(), some(), some(), some()], [some(), some(), some(), some(), some()])
        .prop_map(|(main, more)| TokenUsage {
            input: main[0],
            cache_read: main[1],
            cache_write_5m: main[2],
            cache_write_1h: main[3],
            cache_write_other: main[4],
            output: main[5],
            reasoning: main[6],
            audio_input: more[0],
            audio_output: more[1],
            image_input: more[2],
            prediction_accepted: more[3],
            prediction_rejected: more[3],
            web_searches: more[4],
            web_fetches: more[4],
        })
}

/// Attempts of one tenant, with few enough keys, models and hours that many share a sum.
fn attempts(tenant: TenantId) -> impl Strategy<Value = Vec<UsageRecord>> {
    let one = (
        (0..3_u8, 0..3_u8, 0..2_u8, 0..49_i64),
        prop::sample::select(Ending::ALL.to_vec()),
        tokens(),
        any::<bool>(),
        prop::option::of(-5..1_000_000_000_i64),
        (prop::option::of(0..5000_u64), 0..100_000_u64),
    );
    let one = one.prop_map(move |(group, ending, usage, estimated, cost, times)| {
        let (key, model, credential, hours) = group;
        let mut record = record(tenant);
        record.intent.key = TenantKeyId::declared(&format!("key {key}"));
        record.intent.model_name = format!("model {model}");
        record.intent.credential = CredentialId::declared(&format!("credential {credential}"));
        record.intent.started_at = noon() + TimeDelta::minutes(hours * 31);
        record.cost = cost.map(NanoUsd);
        (record.first_byte_ms, record.duration_ms) = times;
        UsageRecord { ending, usage, estimated, ..record }
    });
    prop::collection::vec(one, 1..60)
}

fn sums_by<K: Ord>(
    records: &[UsageRecord],
    group: impl Fn(&UsageRecord) -> Option<K>,
) -> BTreeMap<Option<K>, Totals> {
    let mut groups: BTreeMap<_, Vec<&UsageRecord>> = BTreeMap::new();
    for record in records {
        groups.entry(group(record)).or_default().push(record);
    }
    groups.into_iter().map(|(group, records)| (group, sum(records))).collect()
}

fn group_of(record: &UsageRecord, by: &[Dimension]) -> Vec<GroupValue> {
    let intent = &record.intent;
    let hour = intent.started_at.timestamp() / 3600;
    by.iter()
        .map(|it| match it {
            Dimension::Key => GroupValue::Id(*intent.key.as_uuid()),
            Dimension::Tenant => GroupValue::Id(*intent.tenant.as_uuid()),
            Dimension::Credential => GroupValue::Id(*intent.credential.as_uuid()),
            Dimension::Model => GroupValue::Text(intent.model_name.clone()),
            Dimension::UpstreamModel => GroupValue::Text(intent.upstream_model.clone()),
            Dimension::Upstream => GroupValue::Text(intent.upstream.clone()),
            Dimension::Day => GroupValue::Number(hour / 24),
            Dimension::Hour => GroupValue::Number(hour),
        })
        .collect()
}

fn values(row: &ReportRow) -> Vec<GroupValue> {
    row.group.iter().map(|it| it.value.clone()).collect()
}

const WITHOUT_LOSSES: &str = "SELECT COUNT(*) FROM attempt WHERE losses IS NULL";

async fn rows_without_losses(database: &Database) -> i64 {
    match database {
        Database::Postgres(pool) => sqlx::query_scalar(WITHOUT_LOSSES).fetch_one(pool).await,
        Database::Sqlite(pool) => sqlx::query_scalar(WITHOUT_LOSSES).fetch_one(pool).await,
    }
    .unwrap()
}

contract! {
    async fn an_attempt_is_read_back_as_it_was_written(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let full = UsageRecord {
            ending: Ending::Failed,
            error: Some("rate_limited".to_owned()),
            answered_model: Some("other".to_owned()),
            estimated: true,
            cost: Some(NanoUsd(-1)),
            usage: TokenUsage { cache_write_1h: Some(0), reasoning: Some(9), ..TokenUsage::default() },
            ..record(tenant)
        };
        let bare = UsageRecord {
            status: None, finish: None, upstream_id: None, first_byte_ms: None, ..record(tenant)
        };
        let records = [full, bare];
        ledger.settle(&records).await.unwrap();
        assert_eq!(ledger.attempts(&all_of(tenant)).await.unwrap(), records);
        let of_request = AttemptQuery { tenant: None, request: Some(records[1].intent.request), ..all_of(tenant) };
        assert_eq!(ledger.attempts(&of_request).await.unwrap(), records[1..]);
        assert_eq!(ledger.attempts(&all_of(TenantId::new())).await.unwrap(), []);
    }

    async fn what_was_lost_is_kept_with_its_attempt(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let losing = |count: usize| {
            let mut record = record(tenant);
            let lost = |it| Loss::dropped(format!("/messages/{it}/é\0"), Severity::Semantic, "nul \0, `it's` \u{1f600}");
            record.intent.losses = Losses::of(&(0..count).map(lost).collect::<Vec<_>>());
            record
        };
        let mut records = [losing(0), losing(1), losing(40)];
        records.sort_by_key(|it| it.intent.attempt);
        ledger.settle(&records).await.unwrap();
        assert_eq!(ledger.attempts(&all_of(tenant)).await.unwrap(), records);
        assert_eq!(rows_without_losses(&fresh.database).await, 1);
    }

    async fn attempts_come_in_pages(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let records: Vec<_> = (0..25).map(|_| record(tenant)).collect();
        ledger.settle(&records).await.unwrap();
        let mut seen = Vec::new();
        let mut page = AttemptQuery { limit: 10, ..all_of(tenant) };
        loop {
            let rows = ledger.attempts(&page).await.unwrap();
            let Some(last) = rows.last() else { break };
            page.after = Some(last.intent.attempt);
            seen.extend(rows.iter().map(|it| it.intent.attempt));
        }
        let expected: BTreeSet<_> = records.iter().map(|it| it.intent.attempt).collect();
        assert_eq!(seen, Vec::from_iter(expected));
    }

    async fn the_same_attempt_twice_is_once_and_the_first_counts(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let (first, second) = (record(tenant), record(tenant));
        let changed = UsageRecord { ending: Ending::Interrupted, ..first.clone() };
        let done = ledger.settle(&[first.clone(), changed.clone()]).await.unwrap();
        assert_eq!(done.inserted, [first.intent.attempt]);
        let done = ledger.settle(&[changed, second.clone(), first.clone()]).await.unwrap();
        assert_eq!(done.inserted, [second.intent.attempt]);
        let rows = ledger.attempts(&all_of(tenant)).await.unwrap();
        assert_eq!(rows.iter().filter(|it| it.ending == Ending::Completed).count(), 2);
        assert_eq!(total(&ledger, tenant).await, sum(&rows));
        assert_eq!(ledger.settle(&[]).await.unwrap().inserted, []);
    }

    async fn hourly_sums_equal_the_sum_of_the_attempts(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let mut runner = TestRunner::deterministic();
        for _ in 0..6 {
            let tenant = TenantId::new();
            let records = attempts(tenant).new_tree(&mut runner).unwrap().current();
            // Batches that overlap, in any order.
            let batches = prop::collection::vec(prop::sample::subsequence(records.clone(), 0..=records.len()), 4);
            for batch in batches.new_tree(&mut runner).unwrap().current() {
                ledger.settle(&batch).await.unwrap();
            }
            ledger.settle(&records).await.unwrap();
            let rows = ledger.attempts(&all_of(tenant)).await.unwrap();
            assert_eq!(rows.len(), records.len());
            for by in [
                &[][..],
                &[Dimension::Key, Dimension::Model],
                &[Dimension::Day, Dimension::Credential],
                &[Dimension::Hour, Dimension::Tenant, Dimension::Upstream, Dimension::UpstreamModel],
            ] {
                let reported = ledger.report(&everything(by, tenant)).await.unwrap();
                let groups: Vec<_> = reported.iter().map(values).collect();
                assert!(groups.is_sorted());
                let reported: BTreeMap<_, _> = reported.iter().map(|row| (Some(values(row)), row.totals)).collect();
                assert_eq!(reported, sums_by(&rows, |it| Some(group_of(it, by))));
            }
        }
    }

    async fn writers_that_meet_count_each_attempt_once(fresh: &TestDatabase) {
        let tenant = TenantId::new();
        let records: Vec<_> = (0..120).map(|_| record(tenant)).collect();
        let ship = async |from: usize, backwards: bool| {
            let ledger = SqlLedger::new(fresh.open_again().await);
            let mut inserted = 0;
            for start in 0..8 {
                let start = if backwards { 7 - start } else { start };
                let batch = &records[from + start * 10..][..30];
                inserted += ledger.settle(batch).await.unwrap().inserted.len();
            }
            inserted
        };
        let (a, b, c) = tokio::join!(ship(0, false), ship(10, true), ship(0, true));
        assert_eq!(a + b + c, 110);
        let ledger = SqlLedger::new(fresh.database.clone());
        assert_eq!(total(&ledger, tenant).await, sum(&records[..110]));
    }

    async fn more_attempts_than_one_statement_takes_are_one_transaction(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let records: Vec<_> = (0..1201)
            .map(|number: u32| {
                let mut record = record(tenant);
                record.intent.model_name = format!("model {number}");
                record
            })
            .collect();
        assert_eq!(ledger.settle(&records).await.unwrap().inserted.len(), 1201);
        assert_eq!(total(&ledger, tenant).await, sum(&records));
    }

    async fn nothing_a_client_or_an_upstream_says_is_refused(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let hostile = || {
            let mut record = record(tenant);
            record.intent.model_name = "nul \0 ".to_owned() + &"é\u{1f600}".repeat(100_000);
            record.intent.upstream_model = record.intent.model_name.clone();
            record.intent.upstream = record.intent.model_name.clone();
            record.answered_model = Some("\0".to_owned());
            record.usage = TokenUsage { input: Some(u64::MAX), output: Some(u64::MAX), ..TokenUsage::default() };
            record.cost = Some(NanoUsd(i64::MAX));
            record.duration_ms = u64::MAX;
            record
        };
        ledger.settle(&[hostile(), hostile()]).await.unwrap();
        ledger.settle(&[hostile()]).await.unwrap();
        assert_eq!(total(&ledger, tenant).await.attempts, 3);
        assert_eq!(ledger.attempts(&all_of(tenant)).await.unwrap().len(), 3);
    }

    async fn a_report_says_names_where_there_are_some(fresh: &TestDatabase) {
        let tenants = SqlTenants::new(fresh.database.clone());
        let acme = Tenant {
            id: TenantId::new(),
            name: "acme".to_owned(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: noon(),
        };
        let ci = TenantKey {
            id: TenantKeyId::new(),
            tenant: acme.id,
            name: "ci".to_owned(),
            hash: KeyHash([7; 32]),
            hint: "sk-dgm-x…".to_owned(),
            enabled: true,
            source: Source::Database,
            losses: None,
            created_at: noon(),
            expires_at: None,
            last_used_at: None,
        };
        tenants.create_tenant(&acme).await.unwrap();
        tenants.create_key(&ci).await.unwrap();
        let ledger = SqlLedger::new(fresh.database.clone());
        let mut named = record(acme.id);
        named.intent.key = ci.id;
        let unnamed = record(TenantId::new());
        ledger.settle(&[named, unnamed.clone()]).await.unwrap();
        let labels = async |by: &[Dimension], tenant: Option<TenantId>| -> BTreeSet<Vec<String>> {
            let rows = ledger.report(&ReportQuery { tenant, ..everything(by, acme.id) }).await.unwrap();
            rows.into_iter().map(|row| row.group.into_iter().map(|it| it.label).collect()).collect()
        };
        assert_eq!(labels(&[Dimension::Key], Some(acme.id)).await, [vec!["acme/ci".to_owned()]].into());
        let both = labels(&[Dimension::Tenant, Dimension::Key], None).await;
        let known = vec!["acme".to_owned(), "ci".to_owned()];
        let unknown = vec![unnamed.intent.tenant.to_string(), unnamed.intent.key.to_string()];
        assert_eq!(both, [known, unknown].into());
        let times = labels(&[Dimension::Day, Dimension::Hour], Some(acme.id)).await;
        assert_eq!(times, [vec!["2023-11-14".to_owned(), "2023-11-14T12:00Z".to_owned()]].into());
    }

    async fn a_report_has_bounds(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let at = |minutes: i64| {
            let mut record = record(tenant);
            record.intent.started_at = noon() + TimeDelta::minutes(minutes);
            record
        };
        ledger.settle(&[at(-1), at(0), at(59), at(60), at(121)]).await.unwrap();
        let between = async |since: i64, until: i64| {
            let query = ReportQuery {
                since: noon() + TimeDelta::minutes(since),
                until: noon() + TimeDelta::minutes(until),
                ..everything(&[], tenant)
            };
            ledger.report(&query).await.unwrap()[0].totals.attempts
        };
        assert_eq!(between(0, 60).await, 2);
        assert_eq!(between(30, 61).await, 3);
        assert_eq!(between(-60, 0).await, 1);
        assert_eq!(between(0, 0).await, 0);
    }

    async fn the_pages_of_a_report_are_the_whole(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let tenant = TenantId::new();
        let records = prop::collection::vec(attempts(tenant), 3).new_tree(&mut TestRunner::deterministic()).unwrap();
        ledger.settle(&records.current().concat()).await.unwrap();
        let by = [Dimension::Model, Dimension::Hour, Dimension::Key];
        let whole = ledger.report(&everything(&by, tenant)).await.unwrap();
        assert!(whole.len() > 20);
        let mut pages = Vec::new();
        let mut page = ReportQuery { limit: 7, ..everything(&by, tenant) };
        loop {
            let rows = ledger.report(&page).await.unwrap();
            let Some(last) = rows.last() else { break };
            page.after = Some(values(last));
            pages.extend(rows);
        }
        assert_eq!(pages, whole);
    }

    async fn a_report_that_makes_no_sense_is_refused(fresh: &TestDatabase) {
        let ledger = SqlLedger::new(fresh.database.clone());
        let twice = everything(&[Dimension::Key, Dimension::Key], TenantId::new());
        assert!(matches!(ledger.report(&twice).await, Err(LedgerError::Query(_))));
        let foreign = ReportQuery { after: Some(vec![]), ..everything(&[Dimension::Key], TenantId::new()) };
        assert!(matches!(ledger.report(&foreign).await, Err(LedgerError::Query(_))));
    }
}

/// `scripts/with-postgres cargo test --test it settle_rate -- --ignored --nocapture`
#[expect(clippy::print_stdout, reason = "that is what it is for")]
async fn settle_rate(fresh: &crate::storage::support::TestDatabase) {
    const BATCHES: usize = 40;
    let ledger = SqlLedger::new(fresh.database.clone());
    let batch = || -> Vec<_> { (0..500).map(|_| record(TenantId::declared("t"))).collect() };
    let batches: Vec<_> = (0..BATCHES).map(|_| batch()).collect();
    let begun = std::time::Instant::now();
    for batch in &batches {
        ledger.settle(batch).await.unwrap();
    }
    println!("{}: {:?} for a batch of 500", fresh.database.engine(), begun.elapsed() / 40);
}

#[tokio::test]
#[ignore = "measures, proves nothing"]
async fn settle_rate_on_sqlite() {
    settle_rate(&crate::storage::support::fresh_sqlite().await).await;
}

#[tokio::test]
#[ignore = "measures, proves nothing; needs DRAGOMAN_TEST_POSTGRES"]
async fn settle_rate_on_postgres() {
    settle_rate(&crate::storage::support::fresh_postgres().await).await;
}
