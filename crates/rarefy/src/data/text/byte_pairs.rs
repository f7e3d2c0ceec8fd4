//! Byte-pair encoding.
//!
//! Hugging Face `tokenizers` was tried in its place: 86 crates and 102 s of compiling for what is 200 lines here.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::count::{choose, count};

/// Tokens that are single bytes; merges follow.
const BYTES: usize = 256;
/// Characters after which a piece is cut, so that coding takes a time that grows with the text, not with its square.
const LONGEST_PIECE: usize = 64;
/// Bytes of such a piece: of its characters, and of the blanks before it.
const LONGEST_TOKEN: usize = 4 * (LONGEST_PIECE + 1);
/// How many tokens are learned unless the settings say.
const USUAL: usize = 4096;

/// Two tokens side by side.
type Pair = (u32, u32);

/// Learned merges of byte-pair encoding on bytes (Sennrich et al. 2016, Radford et al. 2019): text is cut into pieces, the most
/// frequent pair of neighbours within pieces becomes a token, and so on until there are enough.
///
/// ```text
/// "low lower"  pieces "low" " lower"   bytes l o w | _ l o w e r   merges lo, low, _low ...   ids low | _low e r
/// ```
///
/// Token `256 + i` is what merge `i` makes. Of pairs that come equally often the one with the smaller ids is merged, so the
/// merges are the same every time. Stored as the list of merges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Pair>", into = "Vec<Pair>")]
pub struct BytePairs {
    merges: Vec<Pair>,
    ranks: HashMap<Pair, u32>,
    /// The bytes of each token.
    bytes: Vec<Vec<u8>>,
}

impl BytePairs {
    /// Learns merges until there are `most` tokens (4096 unless given; the 256 bytes are always there) or no pair comes
    /// `min_count` times.
    pub fn fit(documents: &[&str], min_count: u64, most: Option<usize>) -> BytePairs {
        let counts = count(documents, |text, see| pieces(text).for_each(see));
        let pieces = choose(counts, |count| count.times, 1, None);
        let times: Vec<u64> = pieces.iter().map(|(_, count)| count.times).collect();
        let pieces = pieces.into_iter().map(|(piece, _)| piece.bytes().map(u32::from).collect()).collect();
        let wanted = most.unwrap_or(USUAL).saturating_sub(BYTES);
        let merges = learn(pieces, &times, min_count.max(1), wanted);
        BytePairs::try_from(merges).expect("a merge joins tokens that are there")
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the tokens of a text to `ids`.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        for piece in pieces(text) {
            let start = ids.len();
            ids.extend(piece.bytes().map(u32::from));
            // The merge learned first goes first, everywhere in the piece.
            loop {
                let ranks = ids[start..].windows(2).filter_map(|pair| self.ranks.get(&(pair[0], pair[1])));
                let Some(&rank) = ranks.min() else { break };
                let merged = BYTES as u32 + rank;
                let kept = merge(&mut ids[start..], self.merges[rank as usize], merged);
                ids.truncate(start + kept);
            }
        }
    }

    /// The text of some tokens. `None`, an unknown token, and bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: impl Iterator<Item = Option<u32>>) -> String {
        let mut text = Vec::new();
        for token in tokens {
            match token.and_then(|token| self.bytes.get(token as usize)) {
                Some(bytes) => text.extend_from_slice(bytes),
                None => text.extend_from_slice("\u{fffd}".as_bytes()),
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl TryFrom<Vec<Pair>> for BytePairs {
    type Error = String;

    fn try_from(merges: Vec<Pair>) -> Result<BytePairs, String> {
        let mut bytes: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut ranks = HashMap::with_capacity(merges.len());
        for (&(left, right), rank) in merges.iter().zip(0..) {
            let known = |token: u32| bytes.get(token as usize);
            let joined = known(left).zip(known(right)).map(|(left, right)| [&left[..], right].concat());
            let joined =
                joined.ok_or(format!("merge {rank} joins {left} and {right}, which are not there yet"))?;
            // In a file lengths could double from merge to merge.
            if joined.len() > LONGEST_TOKEN {
                return Err(format!(
                    "merge {rank} makes a token of {} bytes, longer than a piece of text",
                    joined.len()
                ));
            }
            bytes.push(joined);
            if ranks.insert((left, right), rank).is_some() {
                return Err(format!("merge {rank} joins {left} and {right} a second time"));
            }
        }
        Ok(BytePairs { merges, ranks, bytes })
    }
}

impl From<BytePairs> for Vec<Pair> {
    fn from(pairs: BytePairs) -> Vec<Pair> {
        pairs.merges
    }
}

/// Replaces each `pair` by `merged`, from the left, and returns how many tokens are left at the front.
fn merge(tokens: &mut [u32], pair: Pair, merged: u32) -> usize {
    let (mut from, mut to) = (0, 0);
    while from < tokens.len() {
        let here = from + 1 < tokens.len() && (tokens[from], tokens[from + 1]) == pair;
        tokens[to] = if here { merged } else { tokens[from] };
        from += if here { 2 } else { 1 };
        to += 1;
    }
    to
}

/// Up to `wanted` merges of pieces that come so many `times`.
fn learn(mut pieces: Vec<Vec<u32>>, times: &[u64], least: u64, wanted: usize) -> Vec<Pair> {
    // How often each pair comes, and the pieces that hold it or once did.
    let mut counts: HashMap<Pair, (u64, HashSet<usize>)> = HashMap::new();
    for (place, piece) in pieces.iter().enumerate() {
        for pair in piece.windows(2) {
            let (count, places) = counts.entry((pair[0], pair[1])).or_default();
            *count += times[place];
            places.insert(place);
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        counts.iter().map(|(&pair, (count, _))| (*count, Reverse(pair))).collect();
    let mut merges = Vec::new();
    while merges.len() < wanted
        && let Some((count, Reverse(pair))) = queue.pop()
    {
        // A count that has changed since it was queued is queued again as it is now.
        let now = counts.get(&pair).map_or(0, |(count, _)| *count);
        if now != count {
            if now >= least {
                queue.push((now, Reverse(pair)));
            }
            continue;
        }
        if count < least {
            break;
        }
        let merged = (BYTES + merges.len()) as u32;
        merges.push(pair);
        let (_, places) = counts.remove(&pair).expect("it was counted");
        let mut risen: HashSet<Pair> = HashSet::new();
        for place in places {
            let piece = &mut pieces[place];
            let before: Vec<Pair> = piece.windows(2).map(|pair| (pair[0], pair[1])).collect();
            let kept = merge(piece, pair, merged);
            if kept == piece.len() {
                continue;
            }
            piece.truncate(kept);
            for gone in before {
                if let Some((count, _)) = counts.get_mut(&gone) {
                    *count -= times[place];
                }
            }
            for new in piece.windows(2).map(|pair| (pair[0], pair[1])) {
                let (count, places) = counts.entry(new).or_default();
                *count += times[place];
                places.insert(place);
                if new.0 == merged || new.1 == merged {
                    risen.insert(new);
                }
            }
        }
        queue.extend(risen.iter().map(|pair| (counts[pair].0, Reverse(*pair))));
    }
    merges
}

/// Cuts a text into pieces that no merge crosses: a run of letters, of digits, of blanks or of other characters, with
/// the single space before it. Together they are the text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let mut runs = rest.char_indices();
        let second = rest[first.len_utf8()..].chars().next();
        let kind = match (first, second) {
            (' ', Some(second)) if !second.is_whitespace() => {
                runs.next();
                Kind::of(second)
            }
            _ => Kind::of(first),
        };
        let mut length = 0;
        let mut last = first;
        let end = runs.find(|&(_, character)| {
            let ends = Kind::of(character) != kind || length == LONGEST_PIECE;
            length += 1;
            last = if ends { last } else { character };
            ends
        });
        let mut end = end.map_or(rest.len(), |(end, _)| end);
        // The last space of some goes with what follows.
        if kind == Kind::Blank && last == ' ' && end > 1 && end < rest.len() {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// What runs are made of.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Letter,
    Digit,
    Blank,
    Other,
}

impl Kind {
    fn of(character: char) -> Kind {
        match character {
            _ if character.is_whitespace() => Kind::Blank,
            _ if character.is_alphabetic() => Kind::Letter,
            _ if character.is_numeric() => Kind::Digit,
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(pairs: &BytePairs, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        pairs.encode(text, &mut ids);
        ids
    }

    #[test]
    fn pieces_are_runs_with_the_space_before_them() {
        let long = "x".repeat(150);
        for (text, expected) in [
            ("low lower", &["low", " lower"][..]),
            ("a  b", &["a", " ", " b"]),
            ("a\n b", &["a", "\n", " b"]),
            ("a \n\nb", &["a", " \n\n", "b"]),
            ("it's 42% Ärger ", &["it", "'", "s", " 42", "%", " Ärger", " "]),
            ("  ", &["  "]),
            ("", &[]),
            (&long, &[&long[..64], &long[..64], &long[..22]]),
        ] {
            let found: Vec<&str> = pieces(text).collect();
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(found.concat(), text);
        }
    }

    #[test]
    fn the_most_frequent_pair_is_merged_first_and_of_equals_the_smaller() {
        // In "aab aab ab": ab 3, aa 2, " a" 2; then " a" + "ab" and "a" + "ab" 2 each.
        let pairs = BytePairs::fit(&["aab aab ab"], 2, None);
        let name = |token: u32| String::from_utf8(pairs.bytes[token as usize].clone()).unwrap();
        let merges: Vec<String> =
            pairs.merges.iter().map(|&(a, b)| format!("{}+{}", name(a), name(b))).collect();
        assert_eq!(merges, ["a+b", "a+ab"]);
        assert_eq!(encode(&pairs, "aabab"), [257, 256]);
        assert_eq!(BytePairs::fit(&["aab aab ab"], 2, Some(257)).size(), 257);
        assert_eq!(BytePairs::fit(&["aab aab ab"], 2, Some(1)).size(), 256);
    }

    /// Recounts everything before each merge.
    fn learn_slowly(mut pieces: Vec<Vec<u32>>, times: &[u64], least: u64, wanted: usize) -> Vec<Pair> {
        let mut merges: Vec<Pair> = Vec::new();
        while merges.len() < wanted {
            let mut counts: HashMap<Pair, u64> = HashMap::new();
            for (piece, times) in pieces.iter().zip(times) {
                piece.windows(2).for_each(|pair| *counts.entry((pair[0], pair[1])).or_default() += times);
            }
            let best = counts.into_iter().max_by_key(|&(pair, count)| (count, Reverse(pair)));
            let Some((pair, _)) = best.filter(|&(_, count)| count >= least) else { break };
            let merged = (BYTES + merges.len()) as u32;
            for piece in &mut pieces {
                let kept = merge(piece, pair, merged);
                piece.truncate(kept);
            }
            merges.push(pair);
        }
        merges
    }

    #[test]
    fn counts_kept_up_to_date_learn_what_counting_anew_would() {
        for seed in 0..40u32 {
            let draw = |i: u32| {
                (i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 20
            };
            let pieces: Vec<Vec<u32>> =
                (0..30).map(|i| (0..draw(i) % 12).map(|j| draw(i * 100 + j) % 3).collect()).collect();
            let times: Vec<u64> = (0..30).map(|i| u64::from(draw(i + 7000) % 5 + 1)).collect();
            let expected = learn_slowly(pieces.clone(), &times, 2, 60);
            assert_eq!(learn(pieces, &times, 2, 60), expected, "seed {seed}");
        }
    }

    #[test]
    fn any_text_comes_back_and_bad_merges_do_not_load() {
        let pairs = BytePairs::fit(&["the cat sat on the mat, the end"], 2, None);
        for text in ["the rat", "  Ünïcödé 日本語 🦀\n\n", "", "\0\u{7f}"] {
            let tokens = encode(&pairs, text);
            assert_eq!(pairs.decode(tokens.iter().map(|&token| Some(token))), text);
        }
        assert_eq!(pairs.decode([Some(255), None, Some(9999)].into_iter()), "\u{fffd}\u{fffd}\u{fffd}");
        for (merges, problem) in [("[[97,256]]", "not there yet"), ("[[97,98],[97,98]]", "a second time")] {
            let error = serde_json::from_str::<BytePairs>(merges).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
