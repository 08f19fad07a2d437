//! What is written as spans leave: by the settings of their arrival, and with the roles of the whole trace.

use super::*;

/// Spans without a scope in one request.
fn arrive(stage: &mut Stage, spans: Vec<Span>) -> Vec<(Item, SpanFacts)> {
    stage.apply(vec![("", spans)])
}

/// Role and cost that are written on each span.
fn written(left: &[Vec<u8>]) -> Vec<(Option<String>, Option<f64>)> {
    let of = |span: &Vec<u8>| {
        let added: BTreeMap<_, _> =
            Span::decode(&span[..]).unwrap().attributes.into_iter().map(|a| (a.key, a.value.unwrap().value.unwrap())).collect();
        let role = added.get("tollgate.usage.role").map(|value| match value {
            Value::StringValue(role) => role.clone(),
            other => panic!("{other:?}"),
        });
        let cost = added.get("tollgate.cost.total_usd").map(|value| match value {
            Value::DoubleValue(cost) => *cost,
            other => panic!("{other:?}"),
        });
        (role, cost)
    };
    left.iter().map(of).collect()
}

fn owner() -> (Option<String>, Option<f64>) {
    (Some("owner".into()), Some(0.00365))
}

fn duplicate() -> (Option<String>, Option<f64>) {
    (Some("duplicate".into()), None)
}

#[test]
fn a_call_and_its_wrapper_in_two_requests_are_one_call_in_either_order() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let mut items = arrive(&mut stage, vec![chat(2, 1)]);
    items.extend(arrive(&mut stage, vec![chat(1, 0)]));
    assert_eq!(written(&stage.leave(&items)), [owner(), duplicate()]);

    let mut stage = Stage::new(&EnrichConfig::default());
    let mut items = arrive(&mut stage, vec![chat(1, 0)]);
    items.extend(arrive(&mut stage, vec![chat(2, 1)]));
    // Counted on arrival was the wrapper; what leaves says what is right.
    assert_eq!(stage.log.0.iter().map(|(_, saw)| saw.role).collect::<Vec<_>>(), [Some("owner"), Some("duplicate")]);
    assert_eq!(written(&stage.leave(&items)), [duplicate(), owner()]);
    let text = stage.telemetry.metrics.render();
    assert!(text.contains("tollgate_enrich_usage_order_inversions_total 1"), "{text}");
}

#[test]
fn the_steps_between_a_wrapper_and_its_call_may_come_at_any_time() {
    let tool = || span(2, 1, vec![s("gen_ai.operation.name", "execute_tool"), s("gen_ai.tool.name", "t")]);
    let bare = || span(3, 2, vec![]);
    let of = |id| match id {
        1 => chat(1, 0),
        2 => tool(),
        3 => bare(),
        _ => chat(4, 3),
    };
    for order in [[1, 2, 3, 4], [4, 1, 2, 3], [2, 4, 1, 3], [3, 1, 4, 2], [1, 4, 3, 2]] {
        let mut stage = Stage::new(&EnrichConfig::default());
        let items: Vec<_> = order.iter().flat_map(|id| arrive(&mut stage, vec![of(*id)])).collect();
        let roles = written(&stage.leave(&items));
        let role = |id: u8| roles[order.iter().position(|other| *other == id).unwrap()].clone();
        assert_eq!((role(1), role(4)), (duplicate(), owner()), "{order:?}");
        assert_eq!((role(2).0, role(3).0), (None, None), "{order:?}");
    }
}

#[test]
fn a_call_without_usage_that_comes_late_gives_its_share_to_the_wrapper() {
    let silent = || span(3, 1, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o")]);
    let mut stage = Stage::new(&EnrichConfig::default());
    let mut items = arrive(&mut stage, vec![chat(2, 1)]);
    items.extend(arrive(&mut stage, vec![chat(1, 0)]));
    items.extend(arrive(&mut stage, vec![silent()]));
    assert_eq!(written(&stage.leave(&items)), [duplicate(), owner(), (None, None)]);
}

#[test]
fn what_leaves_after_an_early_keep_fits_what_left_before() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let mut items = arrive(&mut stage, vec![chat(1, 0)]);
    items.extend(arrive(&mut stage, vec![chat(2, 1)]));
    // Kept early: the wrapper left as a duplicate, although it was counted.
    assert_eq!(written(&stage.leave(&items)), [duplicate(), owner()]);
    // A second call inside it streams: somebody has to own it, and the wrapper does not.
    let second = arrive(&mut stage, vec![chat(3, 1)]);
    assert_eq!(written(&stage.leave(&second)), [owner()]);
    assert_eq!(stage.log.0[2].1.role, Some("duplicate"), "its tokens were counted with the wrapper's");
    // What comes around all of it, in a request of its own.
    let outer = arrive(&mut stage, vec![span(5, 0, vec![])]);
    assert_eq!(written(&stage.leave(&outer)), [(None, None)]);
}

#[test]
fn an_early_keep_that_changed_nothing_streams_by_what_was_counted() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let call = arrive(&mut stage, vec![chat(2, 1)]);
    assert_eq!(written(&stage.leave(&call)), [owner()]);
    let wrapper = arrive(&mut stage, vec![chat(1, 0)]);
    assert_eq!(written(&stage.leave(&wrapper)), [duplicate()]);
}

#[test]
fn the_owner_in_another_trace_stays_the_owner() {
    let with_id = |id, parent, trace: u8| {
        let mut span = chat(id, parent);
        span.trace_id = vec![trace; 16];
        span.attributes.push(s("gen_ai.response.id", "msg_1"));
        span
    };
    let mut stage = Stage::new(&EnrichConfig::default());
    let first = arrive(&mut stage, vec![with_id(9, 0, 1)]);
    let mut second = arrive(&mut stage, vec![with_id(5, 4, 2)]);
    second.extend(arrive(&mut stage, vec![Span { trace_id: vec![2; 16], ..span(4, 0, vec![s("tool.name", "t")]) }]));
    second.extend(arrive(&mut stage, vec![with_id(6, 4, 2)]));
    assert_eq!(written(&stage.leave(&first)), [owner()]);
    assert_eq!(written(&stage.leave(&second)), [duplicate(), (None, None), duplicate()]);
}

#[test]
fn a_reload_does_not_change_what_came_before_it() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let before = arrive(&mut stage, vec![chat(1, 0)]);
    let normalize = Normalize { tokens: Tokens::Off, names: Fill::Off, ..Normalize::default() };
    let config = EnrichConfig { normalize, profiles: vec![Profile::FlatC].try_into().unwrap(), ..EnrichConfig::default() };
    let plain = stage.leave(&before);
    stage.enrich.reload(&config, PriceTable::bundled());
    assert_eq!(stage.leave(&before), plain);
    let after = arrive(&mut stage, vec![chat(2, 0)]);
    let keys = |left: &[Vec<u8>]| Span::decode(&left[0][..]).unwrap().attributes.into_iter().map(|a| a.key).collect::<Vec<_>>();
    assert!(keys(&stage.leave(&after)).contains(&"llm.cost_usd".to_owned()));
    assert!(!keys(&plain).contains(&"llm.cost_usd".to_owned()));
}

#[test]
fn written_early_is_written_alike() {
    let spans = || vec![chat(2, 1), error(chat(3, 1), "Error code: 429 - Rate limit reached"), span(4, 1, vec![]), chat(1, 0)];
    let mut stage = Stage::new(&EnrichConfig::default());
    let late = arrive(&mut stage, spans());
    let late = stage.leave(&late);
    for writing in [Writing::OnArrival, Writing::Sealed] {
        let mut stage = Stage::new(&EnrichConfig::default());
        stage.enrich.write(writing);
        let items = arrive(&mut stage, spans());
        let read: Vec<_> = items.iter().map(|(item, _)| Span::decode(item.extra()).unwrap().attributes).collect();
        assert_eq!(stage.leave(&items), late, "{writing:?}");
        for (read, late) in read.iter().zip(&late) {
            assert_eq!(*read, Span::decode(&late[..]).unwrap().attributes, "{writing:?}");
        }
    }
    // Only what is not yet in its place for good can still change its role.
    let mut stage = Stage::new(&EnrichConfig::default());
    stage.enrich.write(Writing::OnArrival);
    let mut items = arrive(&mut stage, vec![chat(1, 0)]);
    items.extend(arrive(&mut stage, vec![chat(2, 1)]));
    assert_eq!(written(&stage.leave(&items)), [duplicate(), owner()]);
}

#[test]
fn what_is_held_is_a_note_and_only_where_something_will_be_written() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let items = arrive(&mut stage, vec![chat(1, 0), span(2, 0, vec![s("http.route", "/")]), error(span(3, 0, vec![]), "no")]);
    let sizes: Vec<_> = items.iter().map(|(item, _)| item.extra().len()).collect();
    assert_eq!(sizes, [10, 0, 10]);
    assert!(stage.leave(&items)[2].len() > 10);
}
