//! What the server tells of itself: the calls it offers, and the nodes of its cluster.

use std::net::SocketAddr;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::faults::Faults;
use super::wire::Empty;
use super::wire::gossip::gossip_server::Gossip;
use super::wire::gossip::{ClusterInfo, EndPoint, MemberInfo};
use super::wire::server_features::server_features_server::ServerFeatures;
use super::wire::server_features::{SupportedMethod, SupportedMethods};

/// The version of the server whose protocol this is.
const VERSION: &str = "23.10.0";

/// A node's states, as gossip numbers them.
const FOLLOWER: i32 = 6;
const LEADER: i32 = 8;

pub(super) struct Features;

#[tonic::async_trait]
impl ServerFeatures for Features {
    async fn get_supported_methods(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<SupportedMethods>, Status> {
        let method = |name: &str| SupportedMethod {
            method_name: name.to_owned(),
            service_name: "event_store.client.streams.streams".to_owned(),
            features: Vec::new(),
        };
        let methods = ["read", "append", "batchappend", "delete", "tombstone"].map(method);
        Ok(Response::new(SupportedMethods {
            methods: methods.into(),
            event_store_server_version: VERSION.to_owned(),
        }))
    }
}

pub(super) struct Cluster {
    address: SocketAddr,
    faults: Arc<Faults>,
}

impl Cluster {
    pub(super) const fn new(address: SocketAddr, faults: Arc<Faults>) -> Self {
        Self { address, faults }
    }
}

fn member(address: String, port: u16, state: i32) -> MemberInfo {
    MemberInfo {
        state,
        instance_id: None,
        time_stamp: 0,
        is_alive: true,
        http_end_point: Some(EndPoint {
            address,
            port: port.into(),
        }),
    }
}

#[tonic::async_trait]
impl Gossip for Cluster {
    async fn read(&self, _: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let leader = self.faults.leader();
        let state = if leader.is_some() { FOLLOWER } else { LEADER };
        let this = member(self.address.ip().to_string(), self.address.port(), state);
        let leader = leader.map(|(host, port)| member(host, port, LEADER));
        Ok(Response::new(ClusterInfo {
            members: [this].into_iter().chain(leader).collect(),
        }))
    }
}
