//! Getting it there.
