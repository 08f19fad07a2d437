//! What is true of any usage, any name and any time.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_parts_add_up_and_nothing_panics(
        counts in proptest::collection::vec(proptest::option::of(prop_oneof![0u64..2_000_000, any::<u64>()]), Class::COUNT),
        searches in proptest::option::of(0u64..100),
        entry in any::<prop::sample::Index>(),
        start_time in any::<u64>(),
        tier in prop::sample::select(vec!["", "batch", "priority", "flex", "scale"]),
        region in prop::sample::select(vec!["", "us", "eu", "global"]),
    ) {
        let table = PriceTable::bundled();
        let entry = entry.get(&table.entries);
        let mut usage = Usage::default();
        Class::ALL.iter().zip(&counts).for_each(|(class, count)| usage.set(*class, *count));
        usage.set_things(Fee::WebSearch, searches);
        let context = Context::default().with(ContextKey::ServiceTier, tier).with(ContextKey::Region, region);
        let provider = &table.providers[entry.provider].id;
        let call = Call { provider: Some(provider), model: Some(&entry.id), usage, context, start_time, ..Call::default() };
        if let Outcome::Priced(priced) = table.price(&call) {
            prop_assert_eq!(priced.total, priced.input + priced.output + priced.cache_read + priced.cache_write + priced.fees);
            prop_assert!(priced.total >= Usd::ZERO);
        }
    }

    #[test]
    fn any_name_has_an_answer(provider in ".{0,40}", model in "\\PC{0,80}", host in ".{0,40}") {
        let table = PriceTable::bundled();
        let call = Call { provider: Some(&provider), host: Some(&host), ..call("", &model, &[("input", 1)]) };
        table.price(&call);
    }
}
