//! One line per field, for both directions.
//!
//! A field that is read and not written, or written under another name than it is read, is data lost on the way
//! through. So each message is one table: JSON name, kind, struct field; reading and writing are both made from it.
//!
//! The kinds:
//!
//! | kind | protobuf | JSON |
//! |---|---|---|
//! | `trace_id`, `span_id` | bytes | hex |
//! | `string`, `strings`, `bool` | the same | the same |
//! | `i32`, `u32` | any 32-bit integer | number |
//! | `u64`, `u64s`, `i64` | any 64-bit integer | string |
//! | `f64`, `f64s`, `optional_f64` | double | number, or `"NaN"` and the like |
//! | `number_of(Enum)` | enum | number |
//! | `message`, `messages` | message | object |

/// Implements [`Object`](super::read::Object) and [`Render`](super::write::Render) for one message.
macro_rules! message {
    (
        $type:ty {
            $($key:literal: $kind:ident $(($enum:ty))? $field:ident,)*
        }
        $(one_of $oneof:ident {
            $($member:literal: $member_kind:ident $variant:path,)*
        })?
    ) => {
        impl $crate::otlp::json::read::Object for $type {
            fn field<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                value: $crate::otlp::json::read::Field<'_, A>,
            ) -> Result<(), A::Error> {
                match key {
                    $($key => message!(@read $kind $(($enum))?, value, &mut self.$field),)*
                    $($($member => value.one_of(&mut self.$oneof, $variant),)*)?
                    _ => value.skip(),
                }
            }
        }

        impl $crate::otlp::json::write::Render for $type {
            fn fields(&self, to: &mut $crate::otlp::json::write::Fields<'_>) {
                $(message!(@write $kind, to, $key, self.$field);)*
                $(match &self.$oneof {
                    None => (),
                    $(Some($variant(member)) => message!(@set $member_kind, to, $member, member),)*
                })?
            }
        }
    };

    (@read trace_id, $value:ident, $to:expr) => { $value.id::<16>($to) };
    (@read span_id, $value:ident, $to:expr) => { $value.id::<8>($to) };
    (@read number_of($enum:ty), $value:ident, $to:expr) => { $value.enumeration::<$enum>($to) };
    (@read optional_f64, $value:ident, $to:expr) => { $value.option($to) };
    (@read message, $value:ident, $to:expr) => { $value.option($to) };
    (@read $kind:ident, $value:ident, $to:expr) => { $value.set($to) };

    (@write trace_id, $to:ident, $key:literal, $from:expr) => { $to.id($key, &$from) };
    (@write span_id, $to:ident, $key:literal, $from:expr) => { $to.id($key, &$from) };
    (@write string, $to:ident, $key:literal, $from:expr) => { $to.string($key, &$from) };
    (@write strings, $to:ident, $key:literal, $from:expr) => { $to.strings($key, &$from) };
    (@write bool, $to:ident, $key:literal, $from:expr) => { $to.bool($key, $from) };
    (@write i32, $to:ident, $key:literal, $from:expr) => { $to.int32($key, $from) };
    (@write number_of, $to:ident, $key:literal, $from:expr) => { $to.int32($key, $from) };
    (@write u32, $to:ident, $key:literal, $from:expr) => { $to.uint32($key, $from) };
    (@write u64, $to:ident, $key:literal, $from:expr) => { $to.uint64($key, $from) };
    (@write u64s, $to:ident, $key:literal, $from:expr) => { $to.uint64s($key, &$from) };
    (@write f64, $to:ident, $key:literal, $from:expr) => { $to.double($key, $from) };
    (@write f64s, $to:ident, $key:literal, $from:expr) => { $to.doubles($key, &$from) };
    (@write optional_f64, $to:ident, $key:literal, $from:expr) => { $to.optional_double($key, $from) };
    (@write message, $to:ident, $key:literal, $from:expr) => { $to.message($key, $from.as_ref()) };
    (@write messages, $to:ident, $key:literal, $from:expr) => { $to.messages($key, &$from) };

    (@set i64, $to:ident, $key:literal, $from:expr) => { $to.set_int64($key, *$from) };
    (@set f64, $to:ident, $key:literal, $from:expr) => { $to.set_double($key, *$from) };
    (@set message, $to:ident, $key:literal, $from:expr) => { $to.message($key, Some($from)) };
}

/// Lets the names of a protobuf enum stand for its numbers.
macro_rules! named {
    ($type:ty: $what:literal) => {
        impl $crate::otlp::json::read::Named for $type {
            const EXPECTED: &'static str = $what;

            fn number(name: &str) -> Option<i32> {
                <$type>::from_str_name(name).map(|value| value as i32)
            }
        }
    };
}

pub(super) use {message, named};
