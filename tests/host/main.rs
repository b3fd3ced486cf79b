//! The rules of the core on the host, one module for each group of them.
#![allow(unreachable_pub, reason = "nothing is outside of a test binary")]
// Clippy knows tests by their attribute; what helps them is test code, too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests, too"
)]

mod by_use;
mod by_use_debts;
mod by_use_holds;
mod by_use_leftovers;
mod classes;
mod config_report;
mod delivery;
mod delivery_cookie;
mod delivery_rules;
mod desk_data;
mod desk_session;
mod evm_never_panics;
mod evm_payload;
mod evm_settle;
mod evm_support;
mod evm_vectors;
mod evm_verify;
mod evm_wallets;
mod facilitator_by_use;
mod facilitator_faults;
mod facilitator_orders;
mod facilitator_tokens;
mod former_release;
mod gate_challenge;
mod gate_delivery_cookie;
mod gate_discovery;
mod gate_machines;
mod gate_never_panics;
mod gate_offers;
mod gate_page;
mod gate_paid;
mod gate_paths;
mod gate_payments;
mod gate_prices;
mod gate_prices_readers;
mod gate_quotes;
mod gate_remote;
mod gate_signers;
mod gate_straight;
mod gate_support;
mod journal_rows;
mod ledger;
mod ledger_points;
mod ledger_sums;
mod ledger_ways;
mod meter;
mod overrides;
mod permit2_proof;
mod permit2_rules;
mod permit2_sponsoring;
mod permit2_support;
mod quota;
mod refunds;
mod refunds_book;
mod refunds_chain;
mod refunds_twice;
mod remote_support;
mod settlement_charge;
mod settlement_checks;
mod settlement_crowd;
mod settlement_early;
mod settlement_evidence;
mod settlement_fallback;
mod settlement_health;
mod settlement_interleavings;
mod settlement_late;
mod settlement_lies;
mod settlement_limit;
mod settlement_lone;
mod settlement_nodes;
mod settlement_pace;
mod settlement_permit2;
mod settlement_queue;
mod settlement_remote;
mod settlement_remote_doubt;
mod settlement_remote_solana;
mod settlement_scenarios;
mod settlement_solana;
mod settlement_solana_crowd;
mod settlement_solana_lies;
mod settlement_solana_seller;
mod settlement_stuck;
mod settlement_times;
mod settlement_tokens;
mod settlement_truth;
mod settlement_versions;
mod settlement_waiting;
mod settlement_wallets;
mod signers;
mod signers_orders;
mod sim;
mod solana_cluster;
mod solana_decode;
mod solana_fuzz;
mod solana_instructions;
mod solana_rules;
mod solana_support;
mod solana_vectors;
mod specification;
mod throughput;
mod upto_rules;
mod wallet_quota;
mod webhooks;
mod webhooks_config;
mod wire;
mod wire_solana;
