//! A condition over a trace, of whatever policies it was joined from.

use crate::sample::conditions::TraceTest;
use crate::sample::outcome::Reason;
use crate::sample::threshold::Threshold;
use crate::sample::totals::Totals;
use crate::sample::watch::Bits;
use std::sync::Arc;

/// A condition over a trace.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    True,
    /// A bit that spans set.
    Bit(u16),
    /// A test of the trace.
    Trace(Arc<dyn TraceTest>),
    Not(Box<Expr>),
    All(Vec<Expr>),
}

/// An answer that more spans may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Yes,
    No,
    Open,
}

/// What is known of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    pub(super) bits: &'a Bits,
    pub(super) totals: &'a Totals,
    /// Why it must not be dropped.
    pub(super) class: Option<Reason>,
    pub(super) randomness: u64,
    /// The strictest threshold its spans came with.
    pub(super) before: Threshold,
}

impl Expr {
    pub(super) fn not(self) -> Expr {
        match self {
            Expr::Not(inner) => *inner,
            other => Expr::Not(Box::new(other)),
        }
    }

    /// One list, without lists in it.
    pub(super) fn all(parts: Vec<Expr>) -> Expr {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Expr::True => {}
                Expr::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expr::True,
            1 => flat.pop().unwrap_or(Expr::True),
            _ => Expr::All(flat),
        }
    }

    /// Whether it asks for a bit and for its absence, or for nothing that can be.
    pub(super) fn impossible(&self) -> bool {
        let parts = if let Expr::All(parts) = self { parts.as_slice() } else { std::slice::from_ref(self) };
        parts.iter().any(|part| match part {
            Expr::Not(inner) => match &**inner {
                Expr::True => true,
                Expr::Bit(bit) => parts.iter().any(|other| matches!(other, Expr::Bit(b) if b == bit)),
                _ => false,
            },
            _ => false,
        })
    }

    pub(super) fn holds(&self, evidence: &Evidence<'_>) -> bool {
        match self {
            Expr::True => true,
            Expr::Bit(bit) => evidence.bits.has(*bit),
            Expr::Trace(test) => test.holds(evidence.totals),
            Expr::Not(inner) => !inner.holds(evidence),
            Expr::All(parts) => parts.iter().all(|part| part.holds(evidence)),
        }
    }

    pub(super) fn settled(&self, evidence: &Evidence<'_>) -> Settled {
        match self {
            Expr::True => Settled::Yes,
            Expr::Bit(bit) if evidence.bits.has(*bit) => Settled::Yes,
            Expr::Bit(_) => Settled::Open,
            Expr::Trace(test) if !test.settled(evidence.totals) => Settled::Open,
            Expr::Trace(test) if test.holds(evidence.totals) => Settled::Yes,
            Expr::Trace(_) => Settled::No,
            Expr::Not(inner) => match inner.settled(evidence) {
                Settled::Yes => Settled::No,
                Settled::No => Settled::Yes,
                Settled::Open => Settled::Open,
            },
            Expr::All(parts) => {
                let mut all = Settled::Yes;
                for part in parts {
                    match part.settled(evidence) {
                        Settled::No => return Settled::No,
                        Settled::Open => all = Settled::Open,
                        Settled::Yes => {}
                    }
                }
                all
            }
        }
    }
}
