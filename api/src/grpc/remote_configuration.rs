//! `remoteconfiguration.RemoteConfiguration`: what clients are to do in one way or another. 16 without good credentials.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use super::Door;
use super::call::DeviceCall;
use super::proto::remoteconfiguration::get_badges_response::Response as BadgesOutcome;
use super::proto::remoteconfiguration::get_configuration_response::Response as Outcome;
use super::proto::remoteconfiguration::remote_configuration_server::RemoteConfiguration;
use super::proto::remoteconfiguration::{
    Badges, Configuration, GetBadgesRequest, GetBadgesResponse, GetConfigurationRequest,
    GetConfigurationResponse, TaggedBadges, TaggedConfiguration,
};
use crate::http::config::fetch::entries;

/// SHA-256 of the entries in the order of their names, encoded one by one: as if the whole had been encoded in order.
fn tag(config: &BTreeMap<String, String>) -> Bytes {
    let mut hash = Sha256::new();
    for (name, value) in config {
        let entry = Configuration {
            configuration: [(name.clone(), value.clone())].into(),
        };
        hash.update(entry.encode_to_vec());
    }
    Bytes::copy_from_slice(&hash.finalize())
}

#[tonic::async_trait]
impl RemoteConfiguration for Door {
    async fn get_configuration(
        &self,
        request: Request<GetConfigurationRequest>,
    ) -> Result<Response<GetConfigurationResponse>, Status> {
        let call = DeviceCall::of(request);
        let agent = call.metadata.get("user-agent");
        let config = entries(
            &self.0,
            call.caller.aci,
            agent.and_then(|agent| agent.to_str().ok()),
        );
        let etag = tag(&config);
        let outcome = if call.message.etag == etag {
            Outcome::EtagMatched(true)
        } else {
            let configuration = Configuration {
                configuration: config.into_iter().collect(),
            };
            Outcome::TaggedConfiguration(TaggedConfiguration {
                configuration: Some(configuration),
                etag,
            })
        };
        Ok(Response::new(GetConfigurationResponse {
            response: Some(outcome),
        }))
    }

    /// This server gives no badges away, so the list of them is empty, and always the same.
    async fn get_badges(
        &self,
        request: Request<GetBadgesRequest>,
    ) -> Result<Response<GetBadgesResponse>, Status> {
        let call = DeviceCall::of(request);
        let etag = tag(&BTreeMap::new());
        let outcome = if call.message.etag == etag {
            BadgesOutcome::EtagMatched(true)
        } else {
            let badges = Badges {
                badges: HashMap::new(),
            };
            BadgesOutcome::TaggedBadges(TaggedBadges {
                badges: Some(badges),
                etag,
            })
        };
        Ok(Response::new(GetBadgesResponse {
            response: Some(outcome),
        }))
    }
}
