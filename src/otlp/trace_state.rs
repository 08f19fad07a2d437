//! The `ot` member of a W3C tracestate: sampling threshold `th` and randomness `rv`.
//!
//! Source: OpenTelemetry specification, "TraceState: Probability Sampling" and "TraceState handling". Other members and
//! other sub-keys are kept, in order.

/// The `ot` value may not be longer than this (OpenTelemetry specification, "TraceState handling").
const MAX_OT: usize = 256;

/// What the `ot` member says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ot {
    /// Threshold: a span was kept where its randomness is at least this; 56 bits.
    pub threshold: Option<u64>,
    /// Explicit randomness; 56 bits.
    pub randomness: Option<u64>,
}

/// Why a tracestate is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not UTF-8, or an `ot` member whose `th` or `rv` does not parse.
    #[error("the tracestate does not parse")]
    Syntax,
    /// The new value would be longer than 256 characters.
    #[error("the ot member would be too long")]
    TooLong,
}

/// Reads the `ot` member of an encoded tracestate.
///
/// # Errors
/// Where `th` or `rv` is there and is no hexadecimal number of the right length.
pub fn read(state: &[u8]) -> Result<Ot, Unusable> {
    let mut out = Ot::default();
    if state.is_empty() {
        return Ok(out);
    }
    let state = std::str::from_utf8(state).map_err(|_| Unusable::Syntax)?;
    for part in ot_value(state).unwrap_or("").split(';') {
        match part.split_once(':') {
            Some(("th", digits)) => out.threshold = Some(threshold(digits).ok_or(Unusable::Syntax)?),
            Some(("rv", digits)) if digits.len() == 14 => out.randomness = Some(hex(digits).ok_or(Unusable::Syntax)?),
            Some(("rv", _)) => return Err(Unusable::Syntax),
            _ => {}
        }
    }
    Ok(out)
}

/// The same tracestate with this `th` (none: without it) and, where given, this `rv`.
///
/// # Errors
/// Where the `ot` member would grow past 256 characters or the input is not UTF-8.
pub fn with(state: &[u8], new_threshold: Option<u64>, new_randomness: Option<u64>) -> Result<String, Unusable> {
    let state = std::str::from_utf8(state).map_err(|_| Unusable::Syntax)?;
    let mut ot = String::new();
    let mut push = |part: std::fmt::Arguments<'_>| {
        if !ot.is_empty() {
            ot.push(';');
        }
        std::fmt::Write::write_fmt(&mut ot, part).unwrap_or_default();
    };
    if let Some(threshold) = new_threshold {
        push(format_args!("th:{}", threshold_digits(threshold)));
    }
    if let Some(randomness) = new_randomness {
        push(format_args!("rv:{randomness:014x}"));
    }
    for part in ot_value(state).unwrap_or("").split(';').filter(|p| !p.is_empty()) {
        let replaced = part.starts_with("th:") || new_randomness.is_some() && part.starts_with("rv:");
        if !replaced {
            push(format_args!("{part}"));
        }
    }
    if ot.len() > MAX_OT {
        return Err(Unusable::TooLong);
    }
    // A changed member moves to the front, as W3C Trace Context asks.
    let others = state.split(',').map(str::trim).filter(|m| !m.is_empty() && !m.starts_with("ot="));
    let ot = (!ot.is_empty()).then(|| format!("ot={ot}"));
    Ok(ot.as_deref().into_iter().chain(others).collect::<Vec<_>>().join(","))
}

/// Hexadecimal digits of a threshold, without trailing zeros: `8` is one half, `0` is everything.
pub fn threshold_digits(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    match digits.trim_end_matches('0') {
        "" => "0".to_owned(),
        short => short.to_owned(),
    }
}

fn ot_value(state: &str) -> Option<&str> {
    state.split(',').find_map(|member| member.trim().strip_prefix("ot="))
}

/// One to fourteen hexadecimal digits, right-padded with zeros.
fn threshold(digits: &str) -> Option<u64> {
    let value = hex(digits)?;
    Some(value << (4 * (14 - digits.len())))
}

fn hex(digits: &str) -> Option<u64> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if digits.is_empty() || digits.len() > 14 || !digits.bytes().all(lower) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn th_and_rv_are_read_wherever_the_member_stands() {
        assert_eq!(read(b"").unwrap(), Ot::default());
        let ot = read(b"a=1, ot=th:c;rv:0123456789abcd;x:y ,b=2").unwrap();
        assert_eq!(ot, Ot { threshold: Some(0xc0_0000_0000_0000), randomness: Some(0x0123456789abcd) });
    }

    #[test]
    fn what_does_not_parse_is_said_so() {
        for state in ["ot=th:", "ot=th:G", "ot=th:000000000000000", "ot=rv:12", "ot=rv:0123456789ABCD"] {
            assert_eq!(read(state.as_bytes()), Err(Unusable::Syntax), "{state}");
        }
        assert_eq!(read(b"ot=th:\xff"), Err(Unusable::Syntax));
        assert_eq!(read(b"other=th:zz"), Ok(Ot::default()));
    }

    #[test]
    fn other_members_and_sub_keys_stay_in_order() {
        let state = with(b"a=1,ot=rv:0123456789abcd;th:4;k:v,b=2", Some(0xe6_6600_0000_0000), None).unwrap();
        assert_eq!(state, "ot=th:e666;rv:0123456789abcd;k:v,a=1,b=2");
        assert_eq!(with(b"a=1,ot=th:4,b=2", None, None).unwrap(), "a=1,b=2");
        assert_eq!(with(b"", Some(0), None).unwrap(), "ot=th:0");
    }

    #[test]
    fn a_member_that_would_not_fit_is_left_alone() {
        let long = format!("ot=k:{}", "x".repeat(250));
        assert_eq!(with(long.as_bytes(), Some(0x80_0000_0000_0000), None), Err(Unusable::TooLong));
    }
}
