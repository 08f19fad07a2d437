//! Who bills a call: providers under all their names, their hosts, and the models that are theirs alone.
//!
//! The host decides before the label does, because the SDK of one provider is often pointed at another and keeps its label.

use crate::enrich::price::when::glob;
use ahash::AHashMap;

/// Providers under all their names.
#[derive(Debug, Default)]
pub struct Directory {
    ids: AHashMap<String, usize>,
    aliases: AHashMap<String, usize>,
    exact_hosts: AHashMap<String, (usize, Option<String>)>,
    /// Those with a `*`, in order of declaration.
    hosts: Vec<(String, usize, Option<String>)>,
    owns: Vec<(String, usize)>,
}

/// The spelling in which names of providers are compared.
pub fn normal_form(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_') && !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

impl Directory {
    /// Adds a provider by its id.
    pub fn add_id(&mut self, id: &str, provider: usize) {
        self.ids.insert(normal_form(id), provider);
    }

    /// Adds another name; the last one added wins, so layers are added from low to high.
    pub fn add_alias(&mut self, alias: &str, provider: usize) {
        self.aliases.insert(normal_form(alias), provider);
    }

    /// Adds a host name, perhaps with `*`, and where that host is. The last one added wins.
    pub fn add_host(&mut self, host: &str, region: Option<&str>, provider: usize) {
        let (host, region) = (host.trim().to_lowercase(), region.map(str::to_owned));
        if host.contains('*') {
            self.hosts.push((host, provider, region));
        } else {
            self.exact_hosts.insert(host, (provider, region));
        }
    }

    /// Adds the beginning of model names that are a provider's own.
    pub fn add_owned(&mut self, prefix: &str, provider: usize) {
        self.owns.push((prefix.trim().to_lowercase(), provider));
    }

    /// The provider of exactly this name, spelling forgiven.
    pub fn named(&self, name: &str) -> Option<usize> {
        let name = normal_form(name);
        self.ids.get(&name).or_else(|| self.aliases.get(&name)).copied()
    }

    /// The provider a span names; `openai.responses` is `openai`.
    pub fn on_span(&self, name: &str) -> Option<usize> {
        self.named(name).or_else(|| name.rsplit_once('.').and_then(|(shorter, _)| self.named(shorter)))
    }

    /// Who answers at a host, and the region that the host tells.
    pub fn at_host(&self, host: &str) -> Option<(usize, Option<String>)> {
        let host = host.trim().trim_end_matches('.');
        let host = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => name,
            _ => host,
        };
        if let Some((provider, region)) = self.exact_hosts.get(&host.to_lowercase()) {
            return Some((*provider, region.clone()));
        }
        let matching = self.hosts.iter().filter_map(|(pattern, provider, region)| {
            let star = glob(pattern, host).filter(|star| !star.is_empty())?;
            let region = region.as_deref().map(|region| if region == "*" { star.to_lowercase() } else { region.to_owned() });
            Some((pattern.len(), *provider, region))
        });
        // The pattern with the most text is the most particular; of equals the one added last.
        matching.max_by_key(|(length, ..)| *length).map(|(_, provider, region)| (provider, region))
    }

    /// The provider a model name points to, where no span and no host says one.
    pub fn inferred(&self, model: &str) -> Option<usize> {
        let model = model.trim().to_lowercase();
        let first = model.split_once('/').and_then(|(segment, _)| self.named(segment));
        first.or_else(|| {
            let owners = self.owns.iter().filter(|(prefix, _)| model.starts_with(prefix.as_str()));
            owners.max_by_key(|(prefix, _)| prefix.len()).map(|(_, provider)| *provider)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let mut directory = Directory::default();
        directory.add_id("openai", 0);
        directory.add_id("gcp.vertex_ai", 1);
        directory.add_alias("vertex", 1);
        directory.add_host("api.openai.com", None, 0);
        directory.add_host("aiplatform.googleapis.com", Some("global"), 1);
        directory.add_host("*-aiplatform.googleapis.com", Some("*"), 1);
        directory.add_owned("o1", 0);
        directory.add_owned("gemini-", 1);
        directory
    }

    #[test]
    fn spelling_is_forgiven_and_one_segment_may_be_too_many() {
        let directory = directory();
        for name in ["OpenAI", "open_ai", "open-ai", "Open AI", "openai.responses"] {
            assert_eq!(directory.on_span(name), Some(0), "{name}");
        }
        assert_eq!(directory.on_span("gcp.vertexai"), Some(1));
        assert_eq!(directory.on_span("vertex.chat"), Some(1));
        for name in ["openrouter", "my.openai", "openai.a.b", "gcp"] {
            assert_eq!(directory.on_span(name), None, "{name}");
        }
    }

    #[test]
    fn a_host_tells_the_region_its_star_stood_for() {
        let directory = directory();
        assert_eq!(directory.at_host("US-east5-aiplatform.googleapis.com:443"), Some((1, Some("us-east5".to_owned()))));
        assert_eq!(directory.at_host("aiplatform.googleapis.com."), Some((1, Some("global".to_owned()))));
        assert_eq!(directory.at_host("api.openai.com"), Some((0, None)));
        assert_eq!(directory.at_host("api.openai.com.evil.example"), None);
        assert_eq!(directory.at_host("-aiplatform.googleapis.com"), None, "a star stands for something");
        assert_eq!(directory.at_host("[::1]:4317"), None);
    }

    #[test]
    fn a_model_points_to_its_owner_or_to_its_first_segment() {
        let directory = directory();
        assert_eq!(directory.inferred("vertex/gemini-x"), Some(1));
        assert_eq!(directory.inferred("Gemini-2.5-pro"), Some(1));
        assert_eq!(directory.inferred("openrouter/gemini-x"), None);
    }
}
