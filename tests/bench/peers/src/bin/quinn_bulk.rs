//! Bulk over loopback with native quinn: messages of 64 KiB on one stream, both ends in this
//! process. Prints one JSON object: Gbit/s and processor seconds a gigabyte.

use std::sync::Arc;
use std::time::Instant;
use udpcore::transport::Congestion;

const MESSAGE: [u8; 64 * 1024] = [7; 64 * 1024];

fn main() {
    let megabytes = std::env::args().nth(1).map_or(500, |word| word.parse().expect("a number"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(run(megabytes));
}

async fn run(megabytes: usize) {
    let (client_tls, mut server_config) = transport_peers::tls();
    let transport = transport_peers::windows(Congestion::Cubic);
    server_config.transport_config(transport.clone());
    let any = "127.0.0.1:0".parse().expect("an address");
    let server = quinn::Endpoint::server(server_config, any).expect("a socket");
    let address = server.local_addr().expect("an address");
    let client = quinn::Endpoint::client(any).expect("a socket");
    let mut config = quinn::ClientConfig::new(client_tls as Arc<_>);
    config.transport_config(transport);
    let receiving = tokio::spawn(async move {
        let connection = server.accept().await.expect("a client").await.expect("a connection");
        let mut stream = connection.accept_uni().await.expect("a stream");
        let mut received = 0;
        while let Some(chunk) = stream.read_chunk(usize::MAX, true).await.expect("bytes") {
            received += chunk.bytes.len();
        }
        received
    });
    let name = transport_peers::NAME;
    let connection =
        client.connect_with(config, address, name).expect("valid").await.expect("open");
    let mut stream = connection.open_uni().await.expect("a stream");
    let (begin, busy) = (Instant::now(), processor_seconds());
    let count = megabytes * 1_000_000 / MESSAGE.len();
    for _ in 0..count {
        stream.write_all(&MESSAGE).await.expect("room");
    }
    stream.finish().expect("open");
    let received = receiving.await.expect("no panic");
    let (seconds, busy) = (begin.elapsed().as_secs_f64(), processor_seconds() - busy);
    assert_eq!(received, count * MESSAGE.len());
    let gigabytes = received as f64 / 1e9;
    println!(
        r#"{{"gbit": {:.3}, "cpu_s_per_gb": {:.3}}}"#,
        gigabytes * 8.0 / seconds,
        busy / gigabytes
    );
}

fn processor_seconds() -> f64 {
    // SAFETY: all zeros is a valid rusage: it has only numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
