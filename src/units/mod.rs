//! Money, sizes, fractions, durations, addresses and secrets: checked once, then carried as types.
//!
//! A bad value is cheapest to explain where it is read. So each type here says in its own error what it
//! would have liked to see, and the rest of the program never has to look at raw text again.

pub use self::address::{ListenAddress, NotAnAddress};
pub use self::bytes::{ByteSize, NotASize, SizeOrPercent};
pub use self::duration::NotADuration;
pub use self::fraction::{Fraction, NotAFraction, Percentage};
pub use self::secret::Secret;
pub use self::usd::{NotUsd, Usd};

pub mod duration;

pub(crate) use self::secret::SECRET_NAME;

mod address;
mod bytes;
mod fraction;
mod secret;
mod usd;
