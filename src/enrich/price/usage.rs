//! What goes into a price: how much was used, and what else changes the rate.
//!
//! The names here are the names everywhere: in price tables, on the command line, in the flags on a span. One list of
//! them, in one place, keeps a rate from being written under a name that no usage is ever counted under.

/// Declares a closed set of names with its text form, its size and a reader.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them, in order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = $name::ALL.len();

            /// The name in tables, on the command line and in flags.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The one of that name.
            pub fn named(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

names! {
    /// A class of token that can have a rate of its own.
    Class {
        /// The whole prompt, cache reads and writes included.
        Input = "input",
        /// Read from a prompt cache.
        CacheRead = "cache_read",
        /// Written to a prompt cache, for the provider's ordinary lifetime or an unknown one.
        CacheWrite = "cache_write",
        /// Written for five minutes.
        CacheWrite5m = "cache_write_5m",
        /// Written for thirty minutes.
        CacheWrite30m = "cache_write_30m",
        /// Written for an hour.
        CacheWrite1h = "cache_write_1h",
        /// Written for twelve hours.
        CacheWrite12h = "cache_write_12h",
        /// Sound in the prompt.
        AudioIn = "audio_in",
        /// Pictures in the prompt.
        ImageIn = "image_in",
        /// Film in the prompt.
        VideoIn = "video_in",
        /// Sound read from the cache.
        CacheReadAudio = "cache_read_audio",
        /// Pictures read from the cache.
        CacheReadImage = "cache_read_image",
        /// Everything generated, reasoning included.
        Output = "output",
        /// Generated and not shown.
        Reasoning = "reasoning",
        /// Generated sound.
        AudioOut = "audio_out",
        /// Generated pictures.
        ImageOut = "image_out",
        /// Generated film.
        VideoOut = "video_out",
        /// Quoted from sources.
        Citation = "citation",
    }
}

impl Class {
    /// The class it is part of, and charged as where it has no rate of its own.
    pub const fn parent(self) -> Option<Class> {
        match self {
            Class::Input | Class::Output => None,
            Class::CacheReadAudio | Class::CacheReadImage => Some(Class::CacheRead),
            Class::CacheWrite5m | Class::CacheWrite30m | Class::CacheWrite1h | Class::CacheWrite12h => Some(Class::CacheWrite),
            Class::CacheRead | Class::CacheWrite | Class::AudioIn | Class::ImageIn | Class::VideoIn => Some(Class::Input),
            Class::Reasoning | Class::AudioOut | Class::ImageOut | Class::VideoOut | Class::Citation => Some(Class::Output),
        }
    }
}

names! {
    /// A thing with a fee, in USD per thousand.
    Fee {
        /// One per priced call.
        Request = "request",
        /// A search of the web.
        WebSearch = "web_search",
        /// A search of a social network.
        XSearch = "x_search",
        /// A search of stored files.
        FileSearch = "file_search",
        /// A run of code in the provider's sandbox.
        CodeExecution = "code_execution",
        /// A rerank search.
        Rerank = "rerank",
        /// A page read.
        Page = "page",
        /// A page read and annotated.
        AnnotatedPage = "annotated_page",
        /// A picture made.
        Image = "image",
        /// A text message in a voice session.
        TextMessage = "text_message",
    }
}

names! {
    /// What is sold by time or by length of text.
    Unit {
        /// USD per hour of sound.
        AudioHours = "audio_hours",
        /// USD per hour of sound sent in.
        InputAudioHours = "input_audio_hours",
        /// USD per million characters sent in.
        InputMchars = "input_mchars",
    }
}

names! {
    /// What else changes a price.
    ContextKey {
        /// The tier that served.
        ServiceTier = "service_tier",
        /// `batch`, or nothing.
        Processing = "processing",
        /// `fast`, or nothing.
        Speed = "speed",
        /// Where the model ran.
        Region = "region",
        /// How much a web search reads.
        SearchContextSize = "search_context_size",
        /// What kind of web search it is.
        SearchType = "search_type",
        /// Which way a reseller sent it.
        Route = "route",
    }
}

/// What one call used. `None` is unknown, 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens by class. `input` and `output` include their parts.
    tokens: [Option<u64>; Class::COUNT],
    /// Things by the fee they carry; `request` is never counted here.
    things: [Option<u64>; Fee::COUNT],
    /// Seconds of sound, characters of text.
    amounts: [Option<u64>; Unit::COUNT],
    /// Tokens in and out together, where nothing says which were which.
    total: Option<u64>,
}

/// Names of counted things, in the order of [`Fee`].
const THINGS: [&str; Fee::COUNT] = [
    "requests",
    "web_searches",
    "x_searches",
    "file_searches",
    "code_executions",
    "reranks",
    "pages",
    "annotated_pages",
    "images",
    "text_messages",
];

/// Names of amounts, in the order of [`Unit`]: what is counted is smaller than what has the price.
const AMOUNTS: [&str; Unit::COUNT] = ["audio_seconds", "input_audio_seconds", "input_characters"];

impl Usage {
    /// Nothing known.
    pub const UNKNOWN: Usage =
        Usage { tokens: [None; Class::COUNT], things: [None; Fee::COUNT], amounts: [None; Unit::COUNT], total: None };

    /// Sets the tokens of a class.
    pub fn set(&mut self, class: Class, tokens: impl Into<Option<u64>>) {
        self.tokens[class as usize] = tokens.into();
    }

    /// The same, for building one in an expression.
    #[must_use]
    pub fn with(mut self, class: Class, tokens: impl Into<Option<u64>>) -> Usage {
        self.set(class, tokens);
        self
    }

    /// Sets how many things of a kind were used.
    pub fn set_things(&mut self, fee: Fee, count: impl Into<Option<u64>>) {
        self.things[fee as usize] = count.into();
    }

    /// Sets an amount: seconds for the hourly units, characters for the other.
    pub fn set_amount(&mut self, unit: Unit, amount: impl Into<Option<u64>>) {
        self.amounts[unit as usize] = amount.into();
    }

    /// Sets the sum of tokens in and out that nobody split.
    pub fn set_total(&mut self, total: impl Into<Option<u64>>) {
        self.total = total.into();
    }

    /// Sets a count by its name: `input`, `web_searches`, `audio_seconds`, `total`. False if there is none such.
    pub fn set_named(&mut self, name: &str, count: impl Into<Option<u64>>) -> bool {
        if let Some(class) = Class::named(name) {
            self.set(class, count);
        } else if let Some(at) = THINGS.iter().position(|known| *known == name && name != "requests") {
            self.things[at] = count.into();
        } else if let Some(at) = AMOUNTS.iter().position(|known| *known == name) {
            self.amounts[at] = count.into();
        } else if name == "total" {
            self.total = count.into();
        } else {
            return false;
        }
        true
    }

    /// The tokens of a class, if known.
    pub const fn tokens(&self, class: Class) -> Option<u64> {
        self.tokens[class as usize]
    }

    /// The things of a kind, if known.
    pub const fn things(&self, fee: Fee) -> Option<u64> {
        self.things[fee as usize]
    }

    /// Seconds or characters, if known.
    pub const fn amount(&self, unit: Unit) -> Option<u64> {
        self.amounts[unit as usize]
    }

    /// True if any class of token has a count.
    pub fn has_tokens(&self) -> bool {
        self.tokens.iter().any(Option::is_some)
    }

    /// True if tokens have no count but things or amounts do.
    pub fn has_things(&self) -> bool {
        self.things.iter().chain(&self.amounts).any(Option::is_some)
    }

    /// True if there is a total.
    pub const fn has_total(&self) -> bool {
        self.total.is_some()
    }
}

/// What else changes a price. Values are compared without regard to case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    values: [Option<&'a str>; ContextKey::COUNT],
}

impl<'a> Context<'a> {
    /// Sets one value, as the response gave it. What means "standard" or "not known" is as good as absent.
    pub fn set(&mut self, key: ContextKey, value: Option<&'a str>) {
        let value = value.map(str::trim).filter(|v| !v.is_empty() && !is_standard(key, v));
        if key == ContextKey::ServiceTier && value.is_some_and(|v| v.eq_ignore_ascii_case("batch")) {
            // Anthropic reports a batch as a tier of service; everywhere else it is a way of processing.
            self.values[ContextKey::ServiceTier as usize] = None;
            self.values[ContextKey::Processing as usize].get_or_insert("batch");
        } else if key != ContextKey::Processing || value.is_some() {
            self.values[key as usize] = value;
        }
    }

    /// The same, for building one in an expression.
    #[must_use]
    pub fn with(mut self, key: ContextKey, value: &'a str) -> Context<'a> {
        self.set(key, Some(value));
        self
    }

    /// The value, if it is known and not the standard one.
    pub const fn get(&self, key: ContextKey) -> Option<&'a str> {
        self.values[key as usize]
    }
}

fn is_standard(key: ContextKey, value: &str) -> bool {
    let standard: &[&str] = match key {
        ContextKey::ServiceTier | ContextKey::Processing | ContextKey::Speed => {
            &["default", "standard", "standard_only", "auto", "on_demand", "none"]
        }
        // Anthropic's word for models that cannot be tied to a place.
        ContextKey::Region => &["not_available"],
        ContextKey::SearchContextSize | ContextKey::SearchType | ContextKey::Route => &[],
    };
    standard.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_class() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.name()), Some(*class));
        }
        assert_eq!(Class::named("inputs"), None);
    }

    #[test]
    fn a_batch_tier_is_batch_processing() {
        let context = Context::default().with(ContextKey::ServiceTier, "Batch");
        assert_eq!(context.get(ContextKey::ServiceTier), None);
        assert_eq!(context.get(ContextKey::Processing), Some("batch"));
        let both = context.with(ContextKey::Processing, "standard");
        assert_eq!(both.get(ContextKey::Processing), Some("batch"), "in whichever order they come");
    }

    #[test]
    fn words_for_standard_are_no_tier() {
        for word in ["", " ", "default", "Standard", "standard_only", "AUTO", "on_demand", "none"] {
            assert_eq!(Context::default().with(ContextKey::ServiceTier, word).get(ContextKey::ServiceTier), None, "{word}");
        }
        let scale = Context::default().with(ContextKey::ServiceTier, "scale");
        assert_eq!(scale.get(ContextKey::ServiceTier), Some("scale"));
    }

    #[test]
    fn things_and_amounts_have_names_too() {
        let mut usage = Usage::default();
        assert!(usage.set_named("web_searches", 2) && usage.set_named("audio_seconds", 60) && usage.set_named("total", 9));
        assert_eq!((usage.things(Fee::WebSearch), usage.amount(Unit::AudioHours)), (Some(2), Some(60)));
        assert!(usage.has_total() && usage.has_things() && !usage.has_tokens());
        assert!(!usage.set_named("requests", 1), "one per call, not counted by anybody");
    }
}
