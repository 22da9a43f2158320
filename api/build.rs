//! Makes the gRPC messages, services and field checks out of their descriptions.

#[path = "build/rules.rs"]
mod rules;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

const FOLDER: &str = "src/grpc/proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files: Vec<_> = fs::read_dir(FOLDER)?
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()?;
    files.sort();

    let mut compiler = protox::Compiler::new([FOLDER])?;
    compiler
        .include_imports(true)
        .include_source_info(false)
        .open_files(&files)?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), descriptors)?;
    fs::write(
        out.join("rules.rs"),
        rules::generate(&compiler.descriptor_pool())?,
    )?;

    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .generate_default_stubs(true)
        .bytes(".")
        .codec_path("crate::grpc::codec::CheckedCodec")
        // The WebSocket has it, too.
        .extern_path(".textsecure", "crate::ws::frame")
        .include_file("messages.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
