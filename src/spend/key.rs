//! What the book tells calls apart by, besides service, provider and model.

use crate::enrich::LlmFacts;
use crate::otlp::signal::Signal;
use crate::otlp::span::{Any, KeyValue, attributes_field};
use crate::otlp::wire::{Fields, Value};
use crate::sample::Place;
use std::borrow::Cow;

/// The environment under its names in the conventions, the newest first.
const ENVIRONMENT: [&[u8]; 3] = [b"deployment.environment.name", b"deployment.environment", b"langfuse.environment"];

/// Longest name of a key.
const LONGEST: usize = 100;

/// One key of `service.spend.keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    User,
    UserTier,
    Session,
    Agent,
    Feature,
    Prompt,
    PromptVersion,
    RequestModel,
    ResponseModel,
    Environment,
    /// An attribute, and where it stands; without a place the span is asked first, then the resource, then the scope.
    Attribute(Option<Place>, Box<[u8]>),
}

impl Key {
    /// The key of a name in the config.
    pub(super) fn of(name: &str) -> Key {
        match name {
            "user" => Key::User,
            "user_tier" => Key::UserTier,
            "session" => Key::Session,
            "agent" => Key::Agent,
            "feature" => Key::Feature,
            "prompt" => Key::Prompt,
            "prompt_version" => Key::PromptVersion,
            "request_model" => Key::RequestModel,
            "response_model" => Key::ResponseModel,
            "environment" => Key::Environment,
            name => {
                let places = [("span.", Place::Span), ("resource.", Place::Resource), ("scope.", Place::Scope)];
                let placed = places.into_iter().find_map(|(prefix, place)| Some((Some(place), name.strip_prefix(prefix)?)));
                let (place, key) = placed.filter(|(_, key)| !key.is_empty()).unwrap_or((None, name));
                Key::Attribute(place, key.as_bytes().into())
            }
        }
    }

    /// Whether a text can be the name of a key: it goes into queries, columns and URLs.
    pub(super) fn is_name(name: &str) -> bool {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
        !name.is_empty() && name.len() <= LONGEST && name.bytes().all(letter)
    }

    /// What a call has under this key, as the sender wrote it.
    pub(super) fn value<'a>(&self, llm: &LlmFacts<'a>) -> Option<Cow<'a, str>> {
        let fact = match self {
            Key::User => llm.user,
            Key::UserTier => llm.user_tier,
            Key::Session => llm.session,
            Key::Agent => llm.agent,
            Key::Feature => llm.feature,
            Key::Prompt => llm.prompt,
            Key::PromptVersion => llm.prompt_version,
            Key::RequestModel => llm.request_model,
            Key::ResponseModel => llm.response_model,
            Key::Environment => {
                let of_resource = llm.head.and_then(|head| first(head.resource_attributes(), &ENVIRONMENT));
                return of_resource.or_else(|| first(on_span(llm.span), &ENVIRONMENT));
            }
            Key::Attribute(place, key) => {
                let keys = [&**key];
                let span = || first(on_span(llm.span), &keys);
                let resource = || first(llm.head?.resource_attributes(), &keys);
                let scope = || first(llm.head?.scope_attributes(), &keys);
                return match place {
                    Some(Place::Span) => span(),
                    Some(Place::Resource) => resource(),
                    Some(Place::Scope) => scope(),
                    None => span().or_else(resource).or_else(scope),
                };
            }
        };
        fact.filter(|text| !text.is_empty()).map(Cow::Borrowed)
    }
}

/// The attributes of a span, as encoded `KeyValue` messages.
fn on_span(span: &[u8]) -> impl Iterator<Item = &[u8]> {
    let number = attributes_field(Signal::Traces);
    Fields::new(span).filter_map(move |field| match field.value {
        Value::Len(pair) if field.number == number => Some(pair),
        _ => None,
    })
}

/// The value of the first of these keys that has one; of a key that stands twice the first counts, as everywhere.
fn first<'a>(pairs: impl Iterator<Item = &'a [u8]>, keys: &[&[u8]]) -> Option<Cow<'a, str>> {
    let mut best = (keys.len(), None);
    for pair in pairs.map(KeyValue::read) {
        if let Some(rank) = keys.iter().take(best.0).position(|key| *key == pair.key)
            && let Some(text) = text(pair)
        {
            best = (rank, Some(text));
        }
    }
    best.1
}

fn text(pair: KeyValue<'_>) -> Option<Cow<'_, str>> {
    match pair.any() {
        Any::Str(text) if !text.trim().is_empty() => Some(Cow::Borrowed(text.trim())),
        Any::Int(n) => Some(Cow::Owned(n.to_string())),
        Any::Bool(flag) => Some(Cow::Borrowed(if flag { "true" } else { "false" })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::append::Attributes;
    use crate::otlp::head::{Head, Shared};
    use bytes::Bytes;
    use prost::Message;

    fn head(attributes: &[(&str, &str)]) -> Head {
        use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
        use opentelemetry_proto::tonic::{resource::v1::Resource, trace::v1::ResourceSpans};
        let attributes = attributes.iter().map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) }),
            ..KeyValue::default()
        });
        let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
        let message = ResourceSpans { resource: Some(resource), ..ResourceSpans::default() }.encode_to_vec();
        Head::new(&Shared::new(Bytes::new()), &Shared::new(message.into()), Bytes::new())
    }

    #[test]
    fn an_attribute_is_looked_up_on_the_span_and_then_around_it() {
        let head = head(&[("tenant", "of-resource"), ("deployment.environment", "prod")]);
        let mut span = Vec::new();
        let mut attributes = Attributes::of_span(&mut span);
        attributes.str("tenant", "of-span");
        attributes.int("app.build", 7);
        let llm = LlmFacts { head: Some(&head), span: &span, user: Some("u1"), ..LlmFacts::default() };
        let value = |name: &str| Key::of(name).value(&llm).map(Cow::into_owned);
        assert_eq!(value("tenant").as_deref(), Some("of-span"));
        assert_eq!(value("resource.tenant").as_deref(), Some("of-resource"));
        assert_eq!(value("scope.tenant"), None);
        assert_eq!(value("app.build").as_deref(), Some("7"));
        assert_eq!(value("environment").as_deref(), Some("prod"));
        assert_eq!((value("user").as_deref(), value("session")), (Some("u1"), None));
    }

    #[test]
    fn a_name_is_what_can_stand_in_a_query() {
        assert!(Key::is_name("app.tenant") && Key::is_name("resource.k8s.pod/name"));
        assert!(!Key::is_name("") && !Key::is_name("a b") && !Key::is_name("x'); DROP TABLE amounts") && !Key::is_name(&"a".repeat(101)));
    }
}
