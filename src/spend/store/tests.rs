use super::*;
use crate::enrich::OTHER;

const DAY: u64 = 86_400;
/// A day that is long after 1970, at noon.
const NOON: u64 = 20_000 * DAY + 43_200;

fn keys() -> Vec<String> {
    vec!["user".to_owned(), "app.tenant".to_owned()]
}

fn series(model: &str, user: &str) -> Arc<Series> {
    Arc::new(Series::new(vec!["shop".into(), "openai".into(), model.into(), user.into(), "".into()]))
}

fn one(usd: &str) -> Amounts {
    Amounts { counts: [1, 0, 0, 10, 1, 0, 5, 2], usd: usd.parse().unwrap() }
}

fn sums(entries: &[(u64, &str, &str, &str)]) -> Sums {
    let mut sums = Sums::new(1_000_000);
    entries.iter().for_each(|(at, model, user, usd)| sums.add(*at, &series(model, user), &one(usd)));
    sums
}

/// Rows as text: labels, calls and dollars.
fn ask(store: &Store, parameters: &[(&str, &str)], now: u64) -> Vec<String> {
    let query = Query::parse(parameters.iter().copied(), &keys(), now).unwrap();
    let mut groups = Groups::default();
    let (from, to) = store.ask(&query, &mut groups).unwrap();
    let rows = groups.answer(&query, from, to).rows;
    rows.iter().map(|row| format!("{} {} {}", row.labels.join("/"), row.amounts.calls(), row.amounts.usd)).collect()
}

fn memory(max_series: usize) -> Store {
    Store::open(None, &keys(), max_series).unwrap()
}

#[test]
fn what_was_written_comes_back_grouped_filtered_and_exact() {
    let mut store = memory(100);
    let entries = [
        (NOON, "a", "u1", "0.1"),
        (NOON, "a", "u2", "0.000000000001"),
        (NOON + 60, "a", "u1", "0.2"),
        (NOON + 3600, "b", "", "999999999.999999999999"),
    ];
    store.write(&sums(&entries), NOON).unwrap();
    store.write(&sums(&[(NOON, "a", "u1", "0.9")]), NOON).unwrap();
    let now = NOON + 7200;
    assert_eq!(ask(&store, &[], now), ["b 1 999999999.999999999999", "a 4 1.200000000001"]);
    assert_eq!(ask(&store, &[("by", "user"), ("model", "a")], now), ["u1 3 1.2", "u2 1 0.000000000001"]);
    assert_eq!(ask(&store, &[("by", "service"), ("user", "")], now), ["shop 1 999999999.999999999999"]);
    assert_eq!(ask(&store, &[("by", ""), ("user", "u1"), ("user", "u2")], now), [" 4 1.200000000001"]);
    let hours = ask(&store, &[("by", "hour,model"), ("limit", "1")], now);
    assert_eq!(hours.len(), 1);
    assert!(hours[0].ends_with("T12:00:00Z/a 4 1.200000000001"), "{hours:?}");
    let minutes = ask(&store, &[("by", "minute"), ("since", "150m")], now);
    assert_eq!(minutes.iter().map(|row| row.split(' ').nth(1).unwrap()).collect::<Vec<_>>(), ["3", "1", "1"]);
    let from = NOON.to_string();
    let to = (NOON + 60).to_string();
    assert_eq!(ask(&store, &[("from", &from), ("to", &to)], now), ["a 3 1.000000000001"]);
}

#[test]
fn a_value_is_a_value_and_never_a_part_of_the_question() {
    let mut store = memory(100);
    let nasty = "'); DROP TABLE amounts; --";
    store.write(&sums(&[(NOON, nasty, "\"},{\"", "1"), (NOON, "a", "u", "1")]), NOON).unwrap();
    assert_eq!(ask(&store, &[("model", nasty), ("by", "model,user")], NOON), [format!("{nasty}/\"}},{{\" 1 1")]);
    assert_eq!(ask(&store, &[("model", "' OR ''='")], NOON), [""; 0]);
}

#[test]
fn a_day_has_room_for_so_many_names_and_the_sums_stay_whole() {
    let mut store = memory(3);
    let entries: Vec<_> = (0..10).map(|n| (NOON, "a", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][n], "0.1")).collect();
    assert_eq!(store.write(&sums(&entries), NOON).unwrap(), 7);
    let users = ask(&store, &[("by", "user")], NOON);
    assert_eq!((users.len(), users[0].as_str()), (4, format!("{OTHER} 7 0.7").as_str()));
    assert_eq!(ask(&store, &[], NOON), ["a 10 1"]);
    assert_eq!(store.write(&sums(&[(NOON + DAY, "a", "new", "1")]), NOON + DAY).unwrap(), 0, "another day, other names");
}

#[test]
fn the_room_of_a_day_is_remembered_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(Some(folder.path()), &keys(), 1).unwrap();
    open().write(&sums(&[(NOON, "a", "u1", "1")]), NOON).unwrap();
    assert_eq!(open().write(&sums(&[(NOON, "a", "u2", "1"), (NOON, "a", "u1", "1")]), NOON).unwrap(), 1);
    assert_eq!(ask(&open(), &[("by", "user")], NOON), ["u1 2 2", "_other 1 1"]);
}

#[test]
fn old_minutes_become_hours_and_hours_days_and_the_sums_do_not_change() {
    let mut store = memory(100);
    let hour = Duration::from_secs(3600);
    let keep = Keep { minutes: hour, hours: hour * 24, days: hour * 24 * 10 };
    let entries: Vec<_> = (0..3 * 24 * 4).map(|n| (NOON - n * 900, "a", "u", "0.01")).collect();
    store.write(&sums(&entries), NOON).unwrap();
    let whole = ask(&store, &[("since", "5d")], NOON);
    assert_eq!(whole, ["a 288 2.88"]);
    store.prune(&keep, NOON).unwrap();
    assert_eq!(ask(&store, &[("since", "5d")], NOON), whole);
    let rows =
        |unit: u64| store.db.query_row("SELECT count(*) FROM amounts WHERE unit = ?", [unit as i64], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((rows(60), rows(3600), rows(DAY)), (5, 37, 4));
    let query = Query::parse([("by", "minute")], &keys(), NOON).unwrap();
    assert!(store.ask(&query, &mut Groups::default()).is_err(), "minutes that are gone are not passed off as nothing");
    store.prune(&keep, NOON + 20 * DAY).unwrap();
    assert_eq!(ask(&store, &[("since", "90d")], NOON + 20 * DAY), [""; 0]);
    let left: i64 = store.db.query_row("SELECT count(*) FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn too_many_rows_cost_the_oldest_minutes_first() {
    let mut store = Store { most_rows: 10, ..memory(1000) };
    let entries: Vec<_> = (0..40).map(|n| (NOON + n * 600, "a", "u", "0.01")).collect();
    store.write(&sums(&entries), NOON).unwrap();
    store.prune(&Keep::default(), NOON + 24_000).unwrap();
    let minutes: i64 = store.db.query_row("SELECT count(*) FROM amounts WHERE unit = 60", [], |row| row.get(0)).unwrap();
    assert!((1..=10).contains(&minutes), "{minutes}");
    assert_eq!(ask(&store, &[], NOON + 24_000), ["a 40 0.4"]);
}

#[test]
fn numbers_past_64_bits_are_added_and_no_question_fails_for_them() {
    let mut store = memory(100);
    for user in ["u1", "u2", "u3"] {
        let mut sums = Sums::new(10);
        let most = Amounts { counts: [u64::MAX; COUNTS.len()], usd: Usd::from_pico(i128::MAX) };
        sums.add(NOON, &series("a", user), &most);
        store.write(&sums, NOON).unwrap();
        store.write(&sums, NOON).unwrap();
    }
    let rows = ask(&store, &[], NOON);
    assert!(rows.len() == 1 && rows[0].starts_with(&format!("a {} ", 3 * MOST)), "{rows:?}");
}

#[test]
fn people_find_views_with_the_names_of_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(Some(folder.path()), &keys(), 100).unwrap();
    store.write(&sums(&[(NOON, "a", "u1", "0.5"), (NOON + 60, "a", "u1", "0.25")]), NOON).unwrap();
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    let sql = "SELECT at || ' ' || model || ' ' || user || ' ' || input_tokens || ' ' || usd FROM hours WHERE \"app.tenant\" IS NULL";
    let row: String = other.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(row.ends_with("T12:00:00Z a u1 22 0.75"), "{row}");
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "this is no database, however long it may be".repeat(50)).unwrap();
    let error = Store::open(Some(folder.path()), &keys(), 1).err().unwrap().to_string();
    assert!(error.contains(FILE) && error.contains("not a database"), "{error}");
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    Store::open(Some(folder.path()), &keys(), 1).unwrap().db.pragma_update(None, "user_version", 7).unwrap();
    let error = Store::open(Some(folder.path()), &keys(), 1).err().unwrap().to_string();
    assert!(error.contains("version 7"), "{error}");
}

#[test]
fn the_file_can_be_asked_while_it_is_written_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let question = |keys: &[String]| Query::parse([("by", "model,user"), ("since", "2h")], keys, NOON);
    assert!(read_file(folder.path(), question).unwrap_err().to_string().contains("does not exist"));
    let mut store = Store::open(Some(folder.path()), &keys(), 100).unwrap();
    store.write(&sums(&[(NOON, "a", "u1", "0.5")]), NOON).unwrap();
    let open = read_file(folder.path(), question).unwrap();
    drop(store);
    let closed = read_file(folder.path(), question).unwrap();
    assert_eq!((open.total.usd, &open.rows[0].labels), ("0.5".parse().unwrap(), &vec!["a".to_owned(), "u1".to_owned()]));
    assert_eq!(open, closed);
}
