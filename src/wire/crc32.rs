//! The CRC-32 of Ethernet, gzip and PNG (IEEE 802.3, reflected 0xedb88320), eight bytes a step.

const TABLES: [[u32; 256]; 8] = tables();

/// The CRC of `bytes`.
///
/// ```
/// assert_eq!(udpcore::wire::crc32::crc32(b"123456789"), 0xcbf4_3926);
/// ```
pub fn crc32(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<8>();
    let mut crc = u32::MAX;
    for &[a, b, c, d, e, f, g, h] in blocks {
        let [a, b, c, d] = (u32::from_le_bytes([a, b, c, d]) ^ crc).to_le_bytes();
        let step = |table: usize, byte: u8| TABLES[table][usize::from(byte)];
        crc = step(7, a) ^ step(6, b) ^ step(5, c) ^ step(4, d);
        crc ^= step(3, e) ^ step(2, f) ^ step(1, g) ^ step(0, h);
    }
    for &byte in tail {
        crc = TABLES[0][usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    }
    !crc
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before: u32 = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn long_and_short_ways_agree() {
        let bytes: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(37)).collect();
        for len in 0..bytes.len() {
            let by_the_bit = bytes[..len].iter().fold(u32::MAX, |crc, &byte| {
                (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                    (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
                })
            });
            assert_eq!(crc32(&bytes[..len]), !by_the_bit);
        }
    }
}
