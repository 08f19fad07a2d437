//! Holds back prices that jumped, in lists made by others.
//!
//! A refreshed list with a slipped decimal looks like any other. A real price rarely moves more than fivefold in one step, so
//! such an entry waits until somebody accepts it; until then the price below stays.

use crate::enrich::price::compile::Site;
use crate::enrich::price::error::Problem;
use crate::enrich::price::load::Loader;
use crate::enrich::price::rates::Price;
use crate::enrich::price::table::PriceTable;
use crate::enrich::price::usage::Class;
use std::sync::Arc;

/// More than this either way is a slip until shown otherwise.
const JUMP: u64 = 5;

/// Takes the prices from entries of a layer that differ too much from the layers below. `accept` has `provider/id` of those
/// that may.
pub(super) fn hold_back(loader: &mut Loader, layer: usize, accept: &[String]) {
    let held: Vec<(usize, &'static str)> =
        (0..loader.table.entries.len()).filter_map(|entry| Some((entry, jumped(&loader.table, layer, entry, accept)?))).collect();
    for (entry, class) in held {
        let Some(taken) = loader.table.entries.get_mut(entry) else { continue };
        taken.prices.clear();
        let (provider, model) = (taken.provider, Arc::clone(&taken.id));
        let provider = loader.table.providers.get(provider).map(|p| Arc::clone(&p.id)).unwrap_or_default();
        let file = loader.table.layers.get_mut(layer).and_then(|layer| {
            layer.held += 1;
            layer.file.clone()
        });
        loader.warn(Site { file: file.as_deref(), provider: &provider, model: &model }, "", None, Problem::Held(class));
    }
}

/// The class whose rate jumped, if one did.
fn jumped(table: &PriceTable, layer: usize, entry: usize, accept: &[String]) -> Option<&'static str> {
    let entry = table.entries.get(entry).filter(|entry| entry.layer == layer)?;
    let provider = table.providers.get(entry.provider)?;
    let accepted = |name: &String| {
        name.split_once('/').is_some_and(|(owner, id)| table.directory.named(owner) == Some(entry.provider) && id == &*entry.id)
    };
    if accept.iter().any(accepted) {
        return None;
    }
    let moment = table.layers.get(layer)?.as_of.unwrap_or(u64::MAX);
    let price = in_force(&entry.prices, moment)?;
    let mut below = None;
    let name = entry.id.to_lowercase();
    for (_, book) in provider.books.iter().rev().filter(|(of, _)| *of < layer) {
        book.matching(&name, |lower, _| {
            below = below.or_else(|| table.entries.get(lower).and_then(|lower| in_force(&lower.prices, moment)));
        });
    }
    let below = below?;
    let rates =
        Class::ALL.iter().filter_map(|class| Some((class.name(), price.rates.base[*class as usize]?, below.rates.base[*class as usize]?)));
    let moved = |new: u64, old: u64| new > old.saturating_mul(JUMP) || old > new.saturating_mul(JUMP);
    rates.filter(|(_, new, old)| *old > 0 && moved(*new, *old)).map(|(class, ..)| class).next()
}

fn in_force(prices: &[Price], moment: u64) -> Option<&Price> {
    prices.iter().rev().find(|price| price.in_force(moment))
}
