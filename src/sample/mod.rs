//! Which traces stay.
