//! What is added to spans as they leave.
//!
//! A span is looked at again, by the settings of its arrival: for the tenth that is kept that costs less than to hold, for all, what
//! was found. Where the spans of one trace came in several batches, whose usage counts is decided once more over all of them, because
//! a wrapper may have arrived before its call. Counters stay as they were: they cannot be taken back.

use crate::enrich::look::Looker;
use crate::enrich::note::Note;
use crate::enrich::owners::{Member, Owners};
use crate::enrich::responses::{Answers, Responses};
use crate::enrich::roles::{Role, Roles, Verdict};
use crate::enrich::ruling;
use crate::enrich::settings::Generations;
use crate::enrich::source::{Noted, Source};
use crate::otlp::head::Head;
use crate::otlp::request::Item;
use crate::otlp::signal::Signal;
use crate::otlp::span;
use std::collections::HashMap;

/// The working memory of one shard for what leaves it.
#[derive(Debug, Default)]
pub(crate) struct Release {
    looker: Looker,
    owners: Owners,
    /// Roles over a whole trace, by place; empty where those of the arrival stand.
    roles: Vec<Option<Role>>,
    /// Emptied after each trace.
    scratch: Roles,
    /// What was last read of a head.
    source: Option<([u64; 2], Noted)>,
}

impl Release {
    /// Looks at the items of one trace, before any of them is completed. `left` learns of traces that leave by other roles than were
    /// counted.
    pub(crate) fn begin(&mut self, items: &[Item], generations: &Generations, responses: &Responses, left: &mut Roles) {
        self.roles.clear();
        let mut batches = items.iter().filter_map(|item| Note::split(item.extra()).0).map(|note| note.batch);
        let first = batches.next();
        if batches.all(|batch| Some(batch) == first) {
            return;
        }
        let (mut trace, mut members) = (None, 0);
        self.owners.clear();
        let mut places = Vec::with_capacity(items.len());
        for item in items {
            places.push(None);
            let (view, look) = match Note::split(item.extra()).0 {
                Some(note) => {
                    let settings = generations.get(note.generation);
                    let (view, look) = self.looker.look_once(item.body(), &source(&mut self.source, item.head()), settings, responses);
                    (view, look.map(|look| (note, look)))
                }
                None if item.signal() == Signal::Traces => (span::view(item.body()), None),
                None => continue,
            };
            let (Some(id), Some(span)) = (view.trace_id, view.span_id) else { continue };
            if *trace.get_or_insert(id) != id {
                // Not one trace, so nothing to decide.
                return;
            }
            if let Some(place) = places.last_mut() {
                *place = Some(members);
            }
            members += 1;
            self.owners.add(Member {
                span,
                parent: view.parent_id,
                end: view.end,
                usage: look.as_ref().map(|(_, look)| look.claimed).unwrap_or_default(),
                failed: look.as_ref().is_some_and(|(_, look)| look.failed),
                response: look.as_ref().and_then(|(_, look)| look.response),
                elsewhere: look.as_ref().is_some_and(|(note, _)| note.elsewhere),
            });
        }
        let Some(trace) = trace else { return };
        self.scratch.clear();
        self.owners.decide(trace, &mut self.scratch, &mut Answers::Here(responses, &mut HashMap::new()));
        let verdicts: Vec<Verdict> = self.owners.verdicts().collect();
        let role = |place: Option<usize>| place.and_then(|at| verdicts.get(at)).and_then(|verdict| verdict.role);
        let said = |item: &Item| Note::split(item.extra()).0.and_then(|note| note.role);
        self.roles.extend(places.into_iter().map(role));
        if items.iter().zip(&self.roles).any(|(item, role)| said(item) != *role) {
            self.owners.decide(trace, left, &mut Answers::Here(responses, &mut HashMap::new()));
        }
    }

    /// Writes what belongs behind the item at a place of the trace that was begun.
    pub(crate) fn complete(&mut self, at: usize, item: &Item, generations: &Generations, responses: &Responses, out: &mut Vec<u8>) {
        let (Some(note), rest) = Note::split(item.extra()) else {
            return out.extend_from_slice(item.extra());
        };
        let role = self.roles.get(at).copied().unwrap_or(note.role);
        if note.written && role == note.role {
            return out.extend_from_slice(rest);
        }
        let settings = generations.get(note.generation);
        let (_, look) = self.looker.look_once(item.body(), &source(&mut self.source, item.head()), settings, responses);
        if let Some(look) = look {
            ruling::write(&look, &Verdict { role, ..Verdict::default() }, settings, out);
        }
    }
}

/// Resource and scope of an item: those of the one before, mostly.
fn source<'a>(last: &mut Option<([u64; 2], Noted)>, head: &'a Head) -> Source<'a> {
    match last {
        Some((id, noted)) if *id == head.id() => Source::again(head, *noted),
        _ => {
            let source = Source::of(head);
            *last = Some((head.id(), source.note(head)));
            source
        }
    }
}
