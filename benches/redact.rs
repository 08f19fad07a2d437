//! Redaction in bytes per second, beside `memchr` over the same bytes in the same run.
//!
//! `cargo bench --bench redact` measures everything, `cargo bench --bench redact -- chat` what has that in its name. Figures are of time on
//! the processor; `docs/performance.md` has the rules.

#![allow(missing_docs, reason = "a benchmark")]

use cpu_time::ThreadTime;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;
use tollgate::redact::{Config, Findings, Redactor};

// As in the program: building an output allocates.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rounds over all cases; the median of them counts.
const ROUNDS: usize = 5;
/// Time on the processor for one case in one round.
const SLICE: Duration = Duration::from_millis(60);
/// Bytes of a chat string.
const CHAT: usize = 10 << 10;
/// Strings per case, so that one does not become the only text the branch predictor knows.
const TEXTS: usize = 48;

/// What is measured over a set of strings.
enum What {
    Memchr,
    Redact(Box<Redactor>),
}

struct Case {
    name: &'static str,
    /// Megabytes per second that the rule asks for; 0 for none.
    rule: u32,
    texts: Vec<String>,
    what: What,
    /// Whether something must be found, or nothing may be.
    finds: Option<bool>,
    speeds: Vec<f64>,
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let mut cases = cases();
    // One case by its whole name, or all that have the filter in theirs.
    let whole = cases.iter().any(|case| filter.as_deref() == Some(case.name));
    cases.retain(|case| filter.as_ref().is_none_or(|filter| if whole { case.name == filter } else { case.name.contains(filter.as_str()) }));
    for case in &cases {
        case.check();
    }
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let speed = case.measure();
            case.speeds.push(speed);
        }
    }
    println!("{:36} {:>10} {:>19} {:>8}", "", "MB/s", "(lowest to highest)", "rule");
    for case in &mut cases {
        case.speeds.sort_by(f64::total_cmp);
        let [low, .., high] = case.speeds[..] else { continue };
        let rule = if case.rule == 0 { String::new() } else { format!(">= {}", case.rule) };
        println!("{:36} {:>10.0} {:>19} {rule:>8}", case.name, case.speeds[ROUNDS / 2], format!("({low:.0} to {high:.0})"));
    }
}

impl Case {
    /// Megabytes per second over all texts, again and again for the time of a slice.
    fn measure(&self) -> f64 {
        let bytes: usize = self.texts.iter().map(String::len).sum();
        let (start, mut passed) = (ThreadTime::now(), 0);
        while start.elapsed() < SLICE {
            self.pass();
            passed += bytes;
        }
        passed as f64 / start.elapsed().as_secs_f64() / 1e6
    }

    fn pass(&self) -> u64 {
        match &self.what {
            // A byte that no text has.
            What::Memchr => {
                self.texts.iter().filter(|text| black_box(memchr::memchr(0, black_box(text).as_bytes())).is_some()).count() as u64
            }
            What::Redact(redactor) => {
                let mut findings = Findings::new();
                for text in &self.texts {
                    black_box(redactor.text(black_box(text), None, &mut findings));
                }
                findings.total()
            }
        }
    }

    fn check(&self) {
        let found = self.pass();
        assert!(self.finds.is_none_or(|finds| finds == (found > 0)), "{}: {found} findings", self.name);
    }
}

fn redactor(yaml: &str) -> What {
    let config: Config = serde_yaml::from_str(yaml).expect("a config");
    What::Redact(Box::new(Redactor::new(&config).unwrap_or_else(|errors| panic!("{errors:?}"))))
}

fn portable() -> What {
    What::Redact(Box::new(Redactor::new(&Config::default()).expect("the default").portable()))
}

fn cases() -> Vec<Case> {
    let mut rng = Rng(11);
    let mut make = |each: &mut dyn FnMut(&mut Rng) -> String| -> Vec<String> { (0..TEXTS).map(|_| each(&mut rng)).collect() };
    let chats = make(&mut |rng| chat(rng, CHAT, 3));
    let notes = make(&mut |rng| chat(rng, CHAT, 1));
    let proses = make(&mut |rng| prose(rng, CHAT));
    let code = make(&mut |rng| fill(rng, CHAT, CODE));
    let sparse = make(&mut |rng| with_entities(rng, CHAT, 2048));
    let dense = make(&mut |rng| with_entities(rng, CHAT, 64));
    let numbers = make(&mut numbers);
    let json = make(&mut |rng| messages(&chat(rng, CHAT, 3)));
    let lines = make(&mut |rng| messages(&chat(rng, CHAT, 3).replace(". ", ".\n")));
    let nested = make(&mut |rng| messages(&messages(&chat(rng, CHAT, 3))));
    let short = make(&mut |rng| prose(rng, 24));
    let case = |name, rule, texts: &[String], what, finds| Case { name, rule, texts: texts.to_vec(), what, finds, speeds: Vec::new() };
    let mut all = vec![
        case("memchr", 0, &chats, What::Memchr, None),
        case("chat", 1000, &chats, redactor("{}"), Some(false)),
        case("chat, portable", 300, &chats, portable(), Some(false)),
        case("chat, 30 patterns", 100, &chats, redactor(&patterns(30)), None),
        case("notes full of numbers", 0, &notes, redactor("{}"), Some(false)),
        case("prose", 1000, &proses, redactor("{}"), Some(false)),
        case("prose, portable", 300, &proses, portable(), Some(false)),
        case("code", 0, &code, redactor("{}"), Some(false)),
        case("one finding in 2 KB", 500, &sparse, redactor("{}"), Some(true)),
        case("dense findings", 0, &dense, redactor("{}"), Some(true)),
        case("numbers", 0, &numbers, redactor("{}"), None),
        case("json, of chat", 600, &json, redactor("{}"), Some(false)),
        case("json, of chat in lines", 600, &lines, redactor("{}"), Some(false)),
        case("json in json, of chat", 0, &nested, redactor("{}"), Some(false)),
        case("strings of 24 bytes", 0, &short, redactor("{}"), Some(false)),
    ];
    for (name, text) in hostile() {
        all.push(case(name, 50, &[text], redactor("{}"), None));
    }
    all
}

/// The inputs of a sender who means harm, 64 KB each.
fn hostile() -> Vec<(&'static str, String)> {
    let mut rng = Rng(5);
    let long = |part: &str| part.repeat((64 << 10) / part.len());
    let mut any = |from: &[u8]| (0..64 << 10).map(|_| char::from(from[rng.below(from.len())])).collect::<String>();
    vec![
        ("hostile: 1", long("1")),
        ("hostile: digits", any(b"0123456789")),
        ("hostile: hex", any(b"0123456789abcdef")),
        ("hostile: hex and :", any(b"0123456789abcdef:")),
        ("hostile: digits and signs", any(b"0123456789 .-")),
        ("hostile: @", long("@")),
        ("hostile: :", long(":")),
        ("hostile: -", long("-")),
        ("hostile: -----BEGIN", long("-----BEGIN ")),
        ("hostile: -----BEGIN PRIVATE KEY", long("-----BEGIN PRIVATE KEY-----")),
        ("hostile: a.a.a.a@", long("a.a.a.a@")),
        ("hostile: a.a.a... @", format!("{}@", long("a."))),
        ("hostile: a@a.a.", long("a@a.a.")),
        ("hostile: 1.2.3.", long("1.2.3.")),
        ("hostile: 12:", long("12:")),
        ("hostile: 1 ", long("1 ")),
        ("hostile: 123456789 ", long("123456789 ")),
        ("hostile: 12-345-", long("12-345-")),
        ("hostile: ::1", long("::1")),
        ("hostile: eyJ.", long("eyJ.")),
        ("hostile: sk-", long("sk-")),
        ("hostile: password=", long("password=")),
        ("hostile: ://a:b@", long("://a:b@")),
        ("hostile: Bearer ", long("Bearer ")),
        ("hostile: +1 ", long("+1 ")),
        ("hostile: a1", long("a1")),
        ("hostile: AB12", long("AB12")),
        ("hostile: \\", long("\\")),
        ("hostile: [\"", long("[\"")),
        ("hostile: {\"a\":", long("{\"a\":")),
    ]
}

/// Patterns as people write them: product codes, internal hosts, ticket numbers, words.
fn patterns(count: usize) -> String {
    let all: Vec<String> = (0..count)
        .map(|at| {
            let pattern = match at % 6 {
                0 => format!(r"\bPRJ{at}-[0-9]{{4,6}}\b"),
                1 => format!(r"(?i)\bproject[ -]codename{at}\b"),
                2 => format!(r"\b[A-Z]{{2}}{at}[0-9]{{6}}[A-Z]\b"),
                3 => format!(r"[a-z0-9-]+\.corp{at}\.internal"),
                4 => format!(r"\bEMP{at}[-_ ]?[0-9]{{5,8}}\b"),
                _ => format!(r"(?:acct|ref){at}#[0-9a-f]{{8,16}}"),
            };
            format!("{{name: P{at}, pattern: '{pattern}'}}")
        })
        .collect();
    format!("custom: [{}]", all.join(", "))
}

/// xorshift64*: the same texts in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

fn fill(rng: &mut Rng, size: usize, parts: &[&str]) -> String {
    let mut text = String::new();
    while text.len() < size {
        text.push_str(rng.of(parts));
    }
    text
}

/// Words alone.
fn prose(rng: &mut Rng, size: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        text.push_str(rng.of(WORDS));
        text.push_str(if rng.below(12) == 0 { ". " } else { " " });
    }
    text
}

/// What people and models write to each other: sentences, one in so many with a number, a time, a price, a link, a piece of code.
fn chat(rng: &mut Rng, size: usize, one_in: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        for _ in 0..6 + rng.below(14) {
            text.push_str(rng.of(WORDS));
            text.push(' ');
        }
        let n = rng.below(900) + 10;
        // Writing to a string does not fail.
        let _ = match rng.below(8 * one_in) {
            0 => write!(text, "in {} there were {n} of them", 1990 + n % 36),
            1 => write!(text, "at {}:{:02} on {} March", n % 24, n % 60, n % 28 + 1),
            2 => write!(text, "for ${n}.{:02} or {}%", n % 100, n % 101),
            3 => write!(text, "see https://docs.example.com/guide/page-{n}?lang=en#part-{}", n % 9),
            4 => write!(text, "`let total = items[{}].price * {n};`", n % 10),
            5 => write!(text, "(version {}.{}.{})", n % 5, n % 20, n % 7),
            6 => write!(text, "well-known, re-used - and e.g. the token count"),
            7 => write!(text, "it's the user's \"key\" point: don't worry"),
            _ => write!(text, "{}", rng.of(WORDS)),
        };
        text.push_str(rng.of(&[". ", ". ", "? ", ".\u{a0}", "! ", "; ", ", so "]));
    }
    text
}

/// Chat with something to find every so many bytes.
fn with_entities(rng: &mut Rng, size: usize, every: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        text.push_str(&chat(rng, every.saturating_sub(160).max(8), 3));
        let n = rng.below(9000) + 1000;
        let _ = match rng.below(6) {
            0 => write!(text, " write to jane.doe{n}@mail.example.org please "),
            1 => write!(text, " call +1 415 555 {n} now "),
            2 => write!(text, " from 203.0.113.{} again ", n % 250 + 1),
            3 => write!(text, " card 4111 1111 1111 1111 there "),
            4 => write!(text, " the ssn is 078-05-{n} as said "),
            _ => write!(text, " password: hunter{n}!x and so on "),
        };
    }
    text
}

/// Rows of numbers, as in tables and lists of token ids.
fn numbers(rng: &mut Rng) -> String {
    let mut text = String::new();
    while text.len() < CHAT {
        let (a, b) = (rng.below(100_000_000), rng.below(10_000));
        let _ = match rng.below(5) {
            0 => write!(text, "{a}, "),
            1 => write!(text, "{b}.{:03} ", a % 1000),
            2 => write!(text, "{b} {} ", b % 97),
            3 => write!(text, "{}\t", a % 1_000_000),
            _ => writeln!(text, "-0.{a}e-{:02}", b % 20),
        };
    }
    text
}

/// A text as instrumentations send it.
fn messages(text: &str) -> String {
    serde_json::json!([{ "role": "user", "parts": [{ "type": "text", "content": text }] }]).to_string()
}

const WORDS: &[&str] = &[
    "the",
    "of",
    "and",
    "to",
    "in",
    "that",
    "is",
    "was",
    "for",
    "it",
    "with",
    "as",
    "on",
    "be",
    "at",
    "by",
    "this",
    "have",
    "from",
    "or",
    "had",
    "not",
    "are",
    "but",
    "what",
    "were",
    "when",
    "we",
    "there",
    "can",
    "an",
    "your",
    "which",
    "their",
    "if",
    "will",
    "each",
    "about",
    "how",
    "them",
    "then",
    "she",
    "many",
    "some",
    "these",
    "would",
    "into",
    "time",
    "more",
    "write",
    "see",
    "could",
    "people",
    "than",
    "first",
    "water",
    "been",
    "who",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "answer",
    "question",
    "model",
    "assistant",
    "explain",
    "because",
    "function",
    "example",
    "several",
    "important",
    "however",
    "different",
    "following",
    "information",
    "customer",
    "meeting",
    "schedule",
    "recommend",
    "consider",
    "approach",
    "language",
    "probably",
    "understand",
    "necessary",
    "weather",
    "restaurant",
    "holiday",
    "recipe",
    "chocolate",
    "mountain",
    "library",
    "history",
    "physics",
    "keyboard",
    "breakfast",
    "garden",
    "village",
    "explore",
    "basically",
    "evening",
    "together",
    "Therefore",
    "Please",
    "Thanks",
    "Hello",
    "I",
    "I'm",
    "don't",
    "café",
    "naïve",
    "München",
];

const CODE: &[&str] = &[
    "fn main() {\n    let mut total: u64 = 0;\n",
    "    for (i, item) in items.iter().enumerate() {\n        total += item.price * u64::from(item.count);\n    }\n",
    "    if let Some(value) = map.get(&key) {\n        return Ok(value.clone());\n    }\n",
    "def handler(request: Request, *, timeout: float = 2.5) -> Response:\n    return Response(status=200, body=b'')\n",
    "const { data, error } = await client.from('orders').select('*').eq('id', 42);\n",
    "SELECT id, name, created_at FROM customers WHERE age >= 18 ORDER BY created_at DESC LIMIT 100;\n",
    "@decorator\nclass Foo(Base):\n    x: int = 3\n    y = 0x1f\n",
    "#include <stdio.h>\nint main(int argc, char **argv) { return argc > 1 ? 0 : 1; }\n",
    ".button { margin: 0 4px 8px; color: #ff8800; transition: all 0.3s ease-in-out; }\n",
    "std::vector<int> v{1, 2, 3}; std::cout << v[0] << std::endl;\n",
];
