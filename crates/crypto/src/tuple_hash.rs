//! `TupleHash256` (NIST SP 800-185): a hash of several byte strings that tells where one ends and the next begins.

use cshake::CShake256;
use cshake::digest::{ExtendableOutput as _, Update as _, XofReader as _};

/// A length before what it is of: the number of its bytes, and the number.
fn left_encode(number: u64) -> Vec<u8> {
    let bytes = significant(number);
    let count = u8::try_from(bytes.len()).expect("eight bytes at the most");
    [&[count], bytes.as_slice()].concat()
}

/// A length behind everything: the number, and the number of its bytes.
fn right_encode(number: u64) -> Vec<u8> {
    let mut bytes = significant(number);
    bytes.push(u8::try_from(bytes.len()).expect("eight bytes at the most"));
    bytes
}

/// The bytes of a number from the first that is not zero; one for zero.
fn significant(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    bytes[first..].to_vec()
}

fn bits(length: usize) -> u64 {
    u64::try_from(length).expect("lengths fit") * 8
}

/// The hash of a tuple, as long as it is asked for.
pub fn tuple_hash_256<const LEN: usize>(tuple: &[&[u8]], customization: &[u8]) -> [u8; LEN] {
    let mut hash = CShake256::new_with_function_name(b"TupleHash", customization);
    for element in tuple {
        hash.update(&left_encode(bits(element.len())));
        hash.update(element);
    }
    hash.update(&right_encode(bits(LEN)));
    let mut output = [0; LEN];
    hash.finalize_xof().read(&mut output);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples 4 and 5 of the standard.
    #[test]
    fn the_samples_of_the_standard_come_out() {
        let tuple: [&[u8]; 2] = [&[0, 1, 2], &[0x10, 0x11, 0x12, 0x13, 0x14, 0x15]];
        let plain = tuple_hash_256::<64>(&tuple, b"");
        assert_eq!(
            hex::encode(plain),
            "cfb7058caca5e668f81a12a20a2195ce97a925f1dba3e7449a56f82201ec6073\
             11ac2696b1ab5ea2352df1423bde7bd4bb78c9aed1a853c78672f9eb23bbe194"
        );
        let customized = tuple_hash_256::<64>(&tuple, b"My Tuple App");
        assert_eq!(
            hex::encode(customized),
            "147c2191d5ed7efd98dbd96d7ab5a11692576f5fe2a5065f3e33de6bba9f3aa1\
             c4e9a068a289c61c95aab30aee1e410b0b607de3620e24a4e3bf9852a1d4367e"
        );
    }

    #[test]
    fn where_elements_end_matters() {
        let whole = tuple_hash_256::<10>(&[b"ab", b""], b"");
        assert_ne!(whole, tuple_hash_256::<10>(&[b"a", b"b"], b""));
        assert_eq!((left_encode(0), right_encode(0)), (vec![1, 0], vec![0, 1]));
        assert_eq!(left_encode(256), [2, 1, 0]);
    }
}
