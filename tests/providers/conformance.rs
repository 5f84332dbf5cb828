//! Our clients keep the promises that we ask of everybody's.

use std::sync::Arc;

use topicloom::llm::providers::{ClientOptions, OpenAiClient};

use crate::common::{KEY, WIRES, client};
use crate::over_http::checked;
use crate::server::Wire;

#[tokio::test]
async fn our_clients_keep_their_promises() {
    for wire in WIRES {
        let report = checked(wire, KEY, |base_url| client(wire, base_url))
            .await
            .unwrap();
        report.assert_kept();
        let skipped: Vec<_> = report.skipped().collect();
        assert!(skipped.is_empty(), "{wire:?}: {report}");
    }
}

#[tokio::test]
async fn every_preset_keeps_its_promises() {
    for preset in topicloom::llm::providers::presets() {
        let name = format!("{}/a-model", preset.name).parse().unwrap();
        let report = checked(Wire::OpenAi, KEY, |base_url| {
            let options = ClientOptions::new().base_url(base_url).api_key(KEY);
            Arc::new(OpenAiClient::new(&name, options).unwrap())
        })
        .await
        .unwrap();
        report.assert_kept();
        assert_eq!(report.skipped().count(), 0, "{}: {report}", preset.name);
    }
}
