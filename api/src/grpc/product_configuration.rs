//! `purchase.ProductConfiguration`: what could be bought. With or without credentials; 16 for wrong ones.

use tonic::{Request, Response, Status};

use super::Door;
use super::proto::purchase::product_configuration_server::ProductConfiguration;
use super::proto::purchase::{
    BackupConfiguration, GetConfigurationRequest, GetConfigurationResponse,
};

#[tonic::async_trait]
impl ProductConfiguration for Door {
    /// Nothing is sold here: no currency, no badge, no level of backups, and no debit for any of them.
    async fn get_configuration(
        &self,
        _: Request<GetConfigurationRequest>,
    ) -> Result<Response<GetConfigurationResponse>, Status> {
        Ok(Response::new(GetConfigurationResponse {
            backup: Some(BackupConfiguration::default()),
            sepa_maximum_euros: "0".to_owned(),
            ..GetConfigurationResponse::default()
        }))
    }
}
