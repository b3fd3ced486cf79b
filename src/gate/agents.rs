//! The crawlers and agents that are known by their `User-Agent`, what they fetch
//! for, and from where they come.
//!
//! Anybody can write a name. So an entry has what can't be written, the second
//! sign: the operator's own autonomous system, or the networks that it publishes.
//! An entry without either is never sure; its system is a cloud's, where anybody
//! can rent a machine, or it publishes nothing.
//!
//! The lists of networks are copies of those that operators publish, at the addresses
//! beside them, as public archives had them by November 2026; neighbours are written
//! as one. They are whole but for Google's and Anthropic's, of which the small networks
//! within a cloud are left out. `node dev/crawlers.mjs` asks the operators and says what has
//! changed since. What has moved is not known for sure any more: it pays what it
//! might have to.

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

/// Google's own machines for crawling; what is rented out is elsewhere.
/// <https://developers.google.com/static/crawling/ipranges/common-crawlers.json>
const GOOGLE: &[&str] = &["66.249.64.0/20", "192.178.4.0/22", "2001:4860:4801::/48"];

/// <https://www.bing.com/toolbox/bingbot.json>
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
    "65.55.210.0/24",
    "199.30.24.0/23",
    "20.15.133.160/27",
    "13.67.10.16/28",
    "13.69.66.240/28",
    "13.71.172.224/28",
    "139.217.52.0/28",
    "191.233.204.224/28",
    "20.36.108.32/28",
    "20.43.120.16/28",
    "40.79.131.208/28",
    "40.79.186.176/28",
    "52.231.148.0/28",
    "20.79.107.240/28",
    "51.105.67.0/28",
    "20.125.163.80/28",
    "20.74.197.0/28",
];

/// <https://openai.com/gptbot.json>
const GPTBOT: &[&str] = &[
    "132.196.86.0/24",
    "172.182.202.0/25",
    "172.182.204.0/24",
    "172.182.207.0/25",
    "172.182.214.0/23",
    "20.125.66.80/28",
    "20.171.206.0/23",
    "4.227.36.0/25",
    "52.230.152.0/24",
    "74.7.175.128/25",
    "74.7.227.0/24",
    "74.7.228.0/25",
    "74.7.230.0/25",
    "74.7.241.0/24",
    "74.7.242.0/25",
    "74.7.243.128/25",
    "74.7.244.0/25",
];

/// <https://openai.com/searchbot.json>
const OAI_SEARCH: &[&str] = &[
    "104.210.140.128/28",
    "135.234.64.0/24",
    "172.182.193.80/28",
    "172.182.193.224/28",
    "172.182.194.32/28",
    "172.182.194.144/28",
    "172.182.195.48/28",
    "172.182.209.208/28",
    "172.182.211.192/28",
    "172.182.213.192/28",
    "172.182.224.0/28",
    "172.203.190.128/28",
    "20.14.99.96/28",
    "20.168.18.32/28",
    "20.169.6.224/28",
    "20.169.7.48/28",
    "20.169.77.0/25",
    "20.171.123.64/28",
    "20.171.53.224/28",
    "20.25.151.224/28",
    "20.42.10.176/28",
    "4.227.36.0/25",
    "40.67.175.0/25",
    "40.90.214.16/28",
    "51.8.102.0/24",
    "74.7.175.128/25",
    "74.7.228.0/23",
    "74.7.230.0/25",
    "74.7.241.128/25",
    "74.7.242.128/25",
    "74.7.243.0/25",
    "74.7.244.0/25",
];

/// Of all three of its crawlers, in a block that is registered to it.
/// <https://claude.com/crawling/bots.json>
const ANTHROPIC: &[&str] = &["216.73.216.0/22"];

/// <https://www.perplexity.com/perplexitybot.json>
const PERPLEXITY: &[&str] = &[
    "107.20.236.150",
    "18.210.92.235",
    "3.211.124.183",
    "3.222.232.239",
    "3.224.62.45",
    "3.231.139.107",
    "18.97.1.228/30",
    "18.97.9.96/29",
];

/// <https://www.perplexity.com/perplexity-user.json>
const PERPLEXITY_USER: &[&str] =
    &["18.97.21.0/30", "18.97.43.80/29", "34.193.163.52", "44.208.221.197"];

/// <https://index.commoncrawl.org/ccbot.json>
const COMMON_CRAWL: &[&str] = &[
    "18.97.9.168/29",
    "18.97.14.80/29",
    "18.97.14.88/30",
    "98.85.178.216",
    "3.41.188.32/29",
    "2600:1f28:365:80b0::/60",
];

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
    agent("claudebot", Training, NONE, ANTHROPIC),
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
    agent("claude-searchbot", AiSearch, NONE, ANTHROPIC),
    agent("perplexitybot", AiSearch, NONE, PERPLEXITY),
    agent("youbot", AiSearch, NONE, &[]),
    agent("chatgpt-user", Assistant, NONE, &[]),
    agent("claude-user", Assistant, NONE, ANTHROPIC),
    agent("perplexity-user", Assistant, NONE, PERPLEXITY_USER),
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
