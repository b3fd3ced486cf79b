//! The crawlers and agents that are known by their `User-Agent`, what they fetch
//! for, and from where they come.
//!
//! Anybody can write a name. So an entry has what can't be written, the second
//! sign: the operator's own autonomous system, or the networks that it publishes.
//! An entry without either is never sure; its system is a cloud's, where anybody
//! can rent a machine, or it publishes nothing.
//!
//! The published lists are of November 2026, and as short as they can be. What
//! has moved since is not known for sure any more: it pays what it might have to.

use crate::config::Purpose;

/// A crawler or an agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agent {
    /// What its `User-Agent` has in it, in small letters.
    pub name: &'static str,
    /// What it fetches for.
    pub purpose: Purpose,
    /// The operator's own autonomous systems, in which nobody else has machines.
    pub systems: &'static [u32],
    /// Networks that the operator publishes.
    pub networks: &'static [&'static str],
}

const fn agent(
    name: &'static str,
    purpose: Purpose,
    systems: &'static [u32],
    networks: &'static [&'static str],
) -> Agent {
    Agent { name, purpose, systems, networks }
}

/// Google's own machines for crawling; what is rented out is elsewhere
/// (googlebot.json).
const GOOGLE: &[&str] = &["66.249.64.0/20", "192.178.4.0/22", "2001:4860:4801::/48"];

/// bingbot.json, without the networks of less than 16 addresses.
const BING: &[&str] = &[
    "157.55.39.0/24",
    "207.46.13.0/24",
    "40.77.167.0/24",
    "40.77.177.0/24",
    "40.77.178.0/23",
    "40.77.188.0/22",
    "40.77.202.0/24",
    "40.77.139.0/25",
    "13.66.139.0/24",
    "13.66.144.0/24",
    "52.167.144.0/24",
    "51.105.67.0/28",
    "65.55.210.0/24",
    "199.30.24.0/23",
];

/// gptbot.json.
const GPTBOT: &[&str] = &[
    "20.171.206.0/23",
    "52.230.152.0/24",
    "132.196.86.0/24",
    "4.227.36.0/25",
    "74.7.227.0/24",
    "74.7.241.0/24",
    "74.7.242.0/25",
    "74.7.244.0/25",
];

/// searchbot.json.
const OAI_SEARCH: &[&str] =
    &["51.8.102.0/24", "20.42.10.176/28", "20.169.77.0/25", "40.67.175.0/25", "74.7.229.0/24"];

/// perplexitybot.json.
const PERPLEXITY: &[&str] =
    &["3.211.124.183", "3.222.232.239", "3.224.62.45", "3.231.139.107", "18.97.9.96/29"];

/// ccbot.json.
const COMMON_CRAWL: &[&str] = &["18.97.9.168/29", "18.97.14.80/29", "18.97.14.88/30"];

const APPLE: &[u32] = &[714];
const META: &[u32] = &[32_934];
const NONE: &[u32] = &[];

use Purpose::{AiSearch, Assistant, Preview, Search, Training};

/// All that are known. No name is part of another one's.
pub(super) const AGENTS: &[Agent] = &[
    agent("googlebot", Search, NONE, GOOGLE),
    agent("bingbot", Search, NONE, BING),
    agent("applebot", Search, APPLE, &[]),
    agent("yandexbot", Search, &[13_238], &[]),
    agent("seznambot", Search, &[43_037], &[]),
    agent("baiduspider", Search, NONE, &[]),
    agent("duckduckbot", Search, NONE, &[]),
    agent("petalbot", Search, NONE, &[]),
    agent("yeti/", Search, NONE, &[]),
    agent("gptbot", Training, NONE, GPTBOT),
    agent("claudebot", Training, NONE, &[]),
    agent("anthropic-ai", Training, NONE, &[]),
    agent("ccbot", Training, NONE, COMMON_CRAWL),
    agent("googleother", Training, NONE, GOOGLE),
    agent("meta-externalagent", Training, META, &[]),
    agent("facebookbot", Training, META, &[]),
    agent("amazonbot", Training, NONE, &[]),
    agent("bytespider", Training, NONE, &[]),
    agent("cohere-", Training, NONE, &[]),
    agent("ai2bot", Training, NONE, &[]),
    agent("diffbot", Training, NONE, &[]),
    agent("omgili", Training, NONE, &[]),
    agent("pangubot", Training, NONE, &[]),
    agent("timpibot", Training, NONE, &[]),
    agent("oai-searchbot", AiSearch, NONE, OAI_SEARCH),
    agent("claude-searchbot", AiSearch, NONE, &[]),
    agent("perplexitybot", AiSearch, NONE, PERPLEXITY),
    agent("youbot", AiSearch, NONE, &[]),
    agent("chatgpt-user", Assistant, NONE, &[]),
    agent("claude-user", Assistant, NONE, &[]),
    agent("perplexity-user", Assistant, NONE, &[]),
    agent("mistralai-user", Assistant, NONE, &[]),
    agent("duckassistbot", Assistant, NONE, &[]),
    agent("meta-externalfetcher", Assistant, META, &[]),
    agent("facebookexternalhit", Preview, META, &[]),
    agent("whatsapp/", Preview, META, &[]),
    agent("twitterbot", Preview, &[13_414], &[]),
    agent("linkedinbot", Preview, &[14_413], &[]),
    agent("telegrambot", Preview, &[62_041, 62_014, 59_930], &[]),
    agent("slackbot", Preview, NONE, &[]),
    agent("discordbot", Preview, NONE, &[]),
];

/// What else a `User-Agent` has in it that is no person's browser.
const PROGRAMS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "headless",
    "scrap",
    "fetcher",
    "http://",
    "https://",
    "python",
    "curl",
    "wget",
    "java/",
    "okhttp",
    "go-http",
    "node",
    "axios",
    "phantom",
    "selenium",
    "puppeteer",
    "playwright",
];

/// Phones whose maker's name has "bot" in it.
const PHONES: &str = "cubot";

/// Whether a `User-Agent` in small letters is a browser's, as far as it says.
pub(super) fn is_browser(agent: &str) -> bool {
    let agent = agent.replace(PHONES, "");
    agent.starts_with("mozilla/")
        && !PROGRAMS.iter().chain(AGENTS.iter().map(|it| &it.name)).any(|it| agent.contains(it))
}

/// What Cloudflare calls a purpose (`cf.verifiedBotCategory`).
pub(super) fn purpose_of(category: &str) -> Option<Purpose> {
    let known = [
        ("AI Crawler", Training),
        ("Search Engine Crawler", Search),
        ("AI Search", AiSearch),
        ("AI Assistant", Assistant),
        ("Page Preview", Preview),
    ];
    known.iter().find(|(name, _)| name.eq_ignore_ascii_case(category)).map(|(_, it)| *it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cidr;

    #[test]
    fn the_table_can_be_read() {
        for it in AGENTS {
            assert_eq!(it.name, it.name.to_ascii_lowercase());
            for network in it.networks {
                assert!(Cidr::parse(network).is_some(), "{} {network}", it.name);
            }
            let others = AGENTS.iter().filter(|other| other.name.contains(it.name));
            assert_eq!(others.count(), 1, "{}", it.name);
        }
    }
}
