//! From what is written to what is asked: reads the layers, checks every line, and reports all that is wrong at once.
//!
//! A table with a mistake in it is refused whole. A typing error in one rate is believed for months, and the span it
//! priced is long gone when somebody notices.

use crate::enrich::price::compile::{Site, model, multiplier};
use crate::enrich::price::config::{PriceFile, PricesConfig};
use crate::enrich::price::error::{Place, PriceError, Problem, nearest};
use crate::enrich::price::foreign;
use crate::enrich::price::format::{File, Provider as Written, Providers, Text};
use crate::enrich::price::held;
use crate::enrich::price::names::Names;
use crate::enrich::price::table::{Entry, Fallback, Layer, PriceTable, Provider};
use crate::enrich::price::when::parse_instant;
use serde_yaml::Location;
use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// The table that comes with Tollgate.
const BUNDLED: &str = include_str!("../prices.yaml");

/// Read once, on first use.
static BUNDLED_FILE: LazyLock<Result<File, PriceError>> = LazyLock::new(|| read(BUNDLED, "prices.yaml"));

static BUNDLED_TABLE: LazyLock<Arc<PriceTable>> = LazyLock::new(|| {
    // The tests hold that the bundled table loads; were it ever broken, a table that prices nothing says so on every span.
    let table = PriceTable::load(&PricesConfig::default(), &|_| Err(io::ErrorKind::NotFound.into()));
    Arc::new(table.unwrap_or_default())
});

impl PriceTable {
    /// The table that comes with Tollgate, alone.
    pub fn bundled() -> Arc<PriceTable> {
        Arc::clone(&BUNDLED_TABLE)
    }

    /// All layers of a config. `read_file` is given the paths under `prices.files`, in order.
    ///
    /// # Errors
    /// Every problem found, each with its file and line where they are known. What is only odd is in
    /// [`PriceTable::warnings`].
    pub fn load(config: &PricesConfig, read_file: &dyn Fn(&Path) -> io::Result<String>) -> Result<PriceTable, Vec<PriceError>> {
        let mut loader = Loader::default();
        let mut sources: Vec<(usize, &Providers)> = Vec::new();
        if config.bundled {
            match &*BUNDLED_FILE {
                Ok(file) => {
                    let at = loader.layer("bundled", Some("prices.yaml"), file.as_of.as_ref());
                    loader.head(at, file);
                    sources.push((at, &file.providers));
                }
                Err(e) => loader.errors.push(e.clone()),
            }
        }
        let files: Vec<_> = config.files.iter().filter_map(|listed| Some((listed, loader.open(listed, read_file)?))).collect();
        let mut foreign = Vec::new();
        for (listed, (file, theirs)) in &files {
            let shown = listed.path.display().to_string();
            let stem = listed.path.file_stem().map_or_else(|| shown.clone(), |stem| stem.to_string_lossy().into_owned());
            let at = loader.layer(&stem, Some(&shown), listed.as_of.as_ref().or(file.as_of.as_ref()));
            loader.head(at, file);
            sources.push((at, &file.providers));
            if *theirs {
                loader.speaks_since(at, listed);
                foreign.push((at, *listed));
            }
        }
        let at = loader.layer("config", None, None);
        sources.push((at, &config.providers));

        // Names first, over all layers: a lower layer may speak of a provider that a higher one brings.
        let owners: Vec<Vec<usize>> = sources.iter().map(|(layer, providers)| loader.register(*layer, providers)).collect();
        for ((layer, providers), owners) in sources.iter().zip(&owners) {
            loader.lenient = foreign.iter().any(|(theirs, _)| theirs == layer);
            for ((_, written), provider) in providers.0.iter().zip(owners) {
                loader.provider(*layer, *provider, written);
            }
        }
        loader.lenient = false;
        loader.link();
        for (layer, listed) in foreign {
            held::hold_back(&mut loader, layer, &listed.accept);
        }
        if let Some(name) = &config.fallback_model {
            loader.fallback(name);
        }
        if loader.errors.is_empty() { Ok(loader.table) } else { Err(loader.errors) }
    }
}

/// Reads one file in the format `tollgate-prices/1`.
fn read(text: &str, file: &str) -> Result<File, PriceError> {
    let options = serde_yaml::options! { with_snippet: false, strict_booleans: true };
    serde_yaml::from_str_with_options(text, options).map_err(|e| {
        let place = place(Some(file), e.location());
        PriceError {
            place,
            key: "prices".to_owned(),
            problem: Problem::Syntax(e.to_string().lines().next().unwrap_or_default().to_owned()),
        }
    })
}

pub(super) fn place(file: Option<&str>, at: Option<Location>) -> Place {
    let (line, column) = at.map_or((0, 0), |at| (at.line(), at.column()));
    Place { file: file.map(str::to_owned), line, column }
}

/// What is known so far.
#[derive(Default)]
pub(super) struct Loader {
    pub(super) table: PriceTable,
    pub(super) errors: Vec<PriceError>,
    /// Links between models, to follow once all of them are there.
    links: Vec<(usize, Text)>,
    /// Whether the list at hand is made by others: what is wrong with it is a warning.
    lenient: bool,
    /// Models that multipliers name: layer, provider, id.
    named: Vec<(usize, usize, Text)>,
}

impl Loader {
    fn layer(&mut self, name: &str, file: Option<&str>, as_of: Option<&Text>) -> usize {
        let shown = as_of.map_or_else(|| name.to_owned(), |day| format!("{name}-{}", day.value.trim()));
        let site = Site { file, provider: "", model: "" };
        let as_of = as_of.and_then(|day| {
            let instant = parse_instant(&day.value);
            if instant.is_none() {
                self.error(site, "as_of", day, Problem::BadInstant(day.value.clone()));
            }
            instant
        });
        self.table.layers.push(Layer { name: shown.into(), as_of, since: None, held: 0, file: file.map(str::to_owned) });
        self.table.layers.len() - 1
    }

    /// The file in our form, and whether it is a list made by others.
    fn open(&mut self, listed: &PriceFile, read_file: &dyn Fn(&Path) -> io::Result<String>) -> Option<(File, bool)> {
        let shown = listed.path.display().to_string();
        let text = read_file(&listed.path).map_err(|e| PriceError {
            place: Place { file: Some(shown.clone()), ..Place::default() },
            key: "prices.files".to_owned(),
            problem: Problem::Unreadable(e.to_string()),
        });
        let ours = |text: &str| read(text, &shown).map(|file| (file, Vec::new(), false));
        let opened = text.and_then(|text| match foreign::read(&text, listed.format.as_deref()) {
            None => ours(&text),
            Some(Ok((file, skipped))) => Ok((file, skipped, true)),
            Some(Err(unread)) => {
                let place = Place { file: Some(shown.clone()), line: unread.line, column: unread.column };
                Err(PriceError { place, key: "prices.files".to_owned(), problem: Problem::Syntax(unread.why) })
            }
        });
        match opened {
            Ok((file, skipped, theirs)) => {
                self.table.warnings.extend(skipped.into_iter().map(|(key, why)| {
                    let place = Place { file: Some(shown.clone()), ..Place::default() };
                    PriceError { place, key, problem: Problem::Skipped(why) }
                }));
                Some((file, theirs))
            }
            Err(e) => {
                self.errors.push(e);
                None
            }
        }
    }

    /// From when on a list made by others is asked before the layers below it.
    fn speaks_since(&mut self, layer: usize, listed: &PriceFile) {
        let Some(layer) = self.table.layers.get_mut(layer) else { return };
        layer.as_of = layer.as_of.or(listed.modified);
        // Of a day nobody knows it cannot be said that a call came after it.
        layer.since = Some(layer.as_of.unwrap_or(u64::MAX));
    }

    /// Checks what stands above the providers.
    fn head(&mut self, layer: usize, file: &File) {
        let name = self.table.layers.get(layer).and_then(|layer| layer.file.clone());
        let site = Site { file: name.as_deref(), provider: "", model: "" };
        self.unknown(site, "", &file.unknown, File::KEYS);
        match &file.format {
            Some(format) if format.value == "tollgate-prices/1" => {}
            Some(format) => self.error(site, "format", format, Problem::Format(format!("\"{}\"", format.value))),
            None => self.error_at(site, "format", file.at, Problem::Format("missing".to_owned())),
        }
        if let Some(currency) = file.currency.as_ref().filter(|currency| currency.value != "USD") {
            self.error(site, "currency", currency, Problem::Currency(currency.value.clone()));
        }
    }

    /// Makes the providers of a layer known, and gives the number of each.
    fn register(&mut self, layer: usize, providers: &Providers) -> Vec<usize> {
        let numbers: Vec<usize> = providers.0.iter().map(|(id, _)| self.provider_named(&id.value)).collect();
        for ((_, written), at) in providers.0.iter().zip(&numbers) {
            let directory = &mut self.table.directory;
            written.aliases.iter().for_each(|alias| directory.add_alias(&alias.value, *at));
            written.hosts.iter().for_each(|host| directory.add_host(&host.name, host.region.as_deref(), *at));
            written.owns.iter().for_each(|prefix| directory.add_owned(&prefix.value, *at));
            if let Some(provider) = self.table.providers.get_mut(*at) {
                provider.strip.extend(written.strip.iter().map(|prefix| prefix.value.trim().to_lowercase()).filter(|p| !p.is_empty()));
                if !written.models.is_empty() && provider.books.last().is_none_or(|(last, _)| *last != layer) {
                    provider.books.push((layer, Names::default()));
                }
            }
        }
        numbers
    }

    fn provider_named(&mut self, id: &str) -> usize {
        self.table.directory.named(id).unwrap_or_else(|| {
            let at = self.table.providers.len();
            self.table.directory.add_id(id, at);
            self.table.providers.push(Provider {
                id: Arc::from(id.trim()),
                strip: Vec::new(),
                same_as: Vec::new(),
                like: Vec::new(),
                multipliers: Vec::new(),
                books: Vec::new(),
            });
            at
        })
    }

    fn provider(&mut self, layer: usize, at: usize, written: &Written) {
        let file = self.table.layers.get(layer).and_then(|layer| layer.file.clone());
        let id = self.table.providers.get(at).map(|p| Arc::clone(&p.id)).unwrap_or_default();
        let site = Site { file: file.as_deref(), provider: &id, model: "" };
        self.unknown(site, "", &written.unknown, Written::KEYS);
        for host in &written.hosts {
            self.unknown(site, "hosts", &host.unknown, &["match", "region"]);
            if host.name.trim().is_empty() {
                self.error_at(site, "hosts", written.at, Problem::Missing("match"));
            }
        }
        let same_as = self.named_providers(site, "same_as", &written.same_as);
        let like = self.named_providers(site, "like", &written.like);
        self.named.extend(written.multipliers.iter().flat_map(|m| &m.models).map(|id| (layer, at, id.clone())));
        let multipliers: Vec<_> = written.multipliers.iter().filter_map(|m| multiplier(self, site, layer, m)).collect();
        if let Some(provider) = self.table.providers.get_mut(at) {
            provider.same_as.extend(same_as);
            provider.like.extend(like);
            provider.multipliers.extend(multipliers);
        }
        for written in &written.models {
            let Some(id) = &written.id else {
                self.error_at(site, "models", written.at, Problem::Missing("id"));
                continue;
            };
            let site = Site { model: id.value.trim(), ..site };
            let layer_name = self.table.layers.get(layer).map(|layer| Arc::clone(&layer.name)).unwrap_or_default();
            let (prices, variants, multipliers) = model(self, site, layer, &layer_name, written);
            let entry = self.table.entries.len();
            if let Some(target) = &written.same_as {
                self.links.push((entry, target.clone()));
            }
            let id: Arc<str> = Arc::from(id.value.trim());
            self.table.entries.push(Entry { provider: at, layer, id, prices, variants, multipliers, same_as: Vec::new() });
            self.names(site, at, entry, written);
        }
    }

    /// Puts an entry under its names.
    fn names(&mut self, site: Site<'_>, provider: usize, entry: usize, written: &crate::enrich::price::format::Model) {
        let Some(layer) = self.table.entries.get(entry).map(|entry| entry.layer) else { return };
        let books = self.table.providers.get_mut(provider).map(|p| &mut p.books);
        let Some(book) = books.and_then(|books| books.iter_mut().find(|(of, _)| *of == layer)) else { return };
        let mut names = std::mem::take(&mut book.1);
        for name in written.id.iter().chain(&written.names) {
            if let Some(first) = names.add_exact(&name.value, entry) {
                let problem = Problem::SameName { name: name.value.clone(), first: self.id_of(first), second: self.id_of(entry) };
                self.error(site, "names", name, problem);
            }
        }
        for prefix in &written.prefixes {
            if let Some(first) = names.add_prefix(&prefix.value, entry) {
                let (name, first) = (prefix.value.clone(), self.id_of(first));
                self.warn(site, "prefixes", Some(prefix.referenced), Problem::SamePrefix { name, first, second: self.id_of(entry) });
            }
        }
        for pattern in &written.patterns {
            if let Err(why) = names.add_pattern(&pattern.value, entry) {
                self.error(site, "patterns", pattern, Problem::Pattern(why));
            }
        }
        let books = self.table.providers.get_mut(provider).map(|p| &mut p.books);
        if let Some(book) = books.and_then(|books| books.iter_mut().find(|(of, _)| *of == layer)) {
            book.1 = names;
        }
    }

    fn id_of(&self, entry: usize) -> String {
        self.table.entries.get(entry).map(|entry| entry.id.to_string()).unwrap_or_default()
    }

    fn named_providers(&mut self, site: Site<'_>, key: &'static str, names: &[Text]) -> Vec<usize> {
        let mut found = Vec::new();
        for name in names {
            match self.table.directory.named(&name.value) {
                Some(provider) => found.push(provider),
                None => self.error(site, key, name, Problem::LeadsNowhere(name.value.clone())),
            }
        }
        found
    }

    /// Follows the links between models, and warns of multipliers that name nobody.
    fn link(&mut self) {
        for (entry, target) in std::mem::take(&mut self.links) {
            let Some(asking) = self.table.entries.get(entry) else { continue };
            let (provider, layer) = (asking.provider, asking.layer);
            let targets = self.targets(provider, target.value.trim(), entry);
            if targets.is_empty() {
                let file = self.table.layers.get(layer).and_then(|layer| layer.file.clone());
                let (provider, model) =
                    (self.table.providers.get(provider).map(|p| Arc::clone(&p.id)).unwrap_or_default(), self.id_of(entry));
                let site = Site { file: file.as_deref(), provider: &provider, model: &model };
                self.error(site, "same_as", &target, Problem::LeadsNowhere(target.value.clone()));
            }
            if let Some(asking) = self.table.entries.get_mut(entry) {
                asking.same_as = targets;
            }
        }
        for (layer, provider, named) in std::mem::take(&mut self.named) {
            let Some(owner) = self.table.providers.get(provider) else { continue };
            let lends = |other: usize| other == provider || owner.same_as.contains(&other) || owner.like.contains(&other);
            let id = named.value.trim();
            if !self.table.entries.iter().any(|entry| lends(entry.provider) && entry.id.eq_ignore_ascii_case(id)) {
                let (file, owner) = (self.table.layers.get(layer).and_then(|layer| layer.file.clone()), Arc::clone(&owner.id));
                let site = Site { file: file.as_deref(), provider: &owner, model: "" };
                self.warn(site, "multipliers.models", Some(named.referenced), Problem::NoSuchModel(named.value.clone()));
            }
        }
    }

    /// The entries with that id, highest layer first: of this provider, or else of the one named before the first slash.
    fn targets(&self, provider: usize, target: &str, asking: usize) -> Vec<usize> {
        let with_id = |provider: usize, id: &str| -> Vec<usize> {
            let books = self.table.providers.get(provider).map_or(&[][..], |p| p.books.as_slice());
            let found = books.iter().rev().filter_map(|(_, book)| book.exact(&id.to_lowercase()));
            found.filter(|at| *at != asking && self.table.entries.get(*at).is_some_and(|entry| !entry.prices.is_empty())).collect()
        };
        let own = with_id(provider, target);
        match target.split_once('/') {
            Some((name, id)) if own.is_empty() => self.table.directory.named(name).map_or_else(Vec::new, |other| with_id(other, id)),
            _ => own,
        }
    }

    fn fallback(&mut self, name: &str) {
        let found = name.split_once('/').and_then(|(provider, model)| {
            let at = self.table.directory.named(provider)?;
            let id = Arc::clone(&self.table.providers.get(at)?.id);
            Some(Fallback { provider: id, model: model.trim().to_owned() })
        });
        self.table.fallback = found;
        let leads = self.table.fallback_for(crate::enrich::price::SkipReason::UnknownModel);
        if leads.is_none_or(|meaning| meaning.candidates.is_empty()) {
            let problem = Problem::LeadsNowhere(name.to_owned());
            self.errors.push(PriceError { place: Place::default(), key: "prices.fallback_model".to_owned(), problem });
        }
    }

    /// Reports keys that mean nothing.
    pub(super) fn unknown(&mut self, site: Site<'_>, part: &str, keys: &[Text], valid: &'static [&'static str]) {
        for key in keys {
            let problem = Problem::UnknownKey { key: key.value.clone(), nearest: nearest(&key.value, valid) };
            self.error(site, part, key, problem);
        }
    }

    pub(super) fn error(&mut self, site: Site<'_>, part: &str, at: &Text, problem: Problem) {
        self.error_at(site, part, Some(at.referenced), problem);
    }

    pub(super) fn error_at(&mut self, site: Site<'_>, part: &str, at: Option<Location>, problem: Problem) {
        let error = PriceError { place: place(site.file, at), key: site.path(part), problem };
        if self.lenient { self.table.warnings.push(error) } else { self.errors.push(error) }
    }

    pub(super) fn warn(&mut self, site: Site<'_>, part: &str, at: Option<Location>, problem: Problem) {
        self.table.warnings.push(PriceError { place: place(site.file, at), key: site.path(part), problem });
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
