//! Counting what documents hold, in all threads. The counts are whole numbers, so the threads do not change them; the
//! choice made from them is sorted, so the order of a hash table does not either.

use std::collections::HashMap;

use rayon::prelude::*;

/// Documents counted by one thread before the counts are joined.
const DOCUMENTS: usize = 512;

/// How often something comes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    /// Times in all.
    pub times: u64,
    /// Documents that hold it.
    pub documents: u32,
    /// The last of them, counted from 1.
    last: u32,
}

/// Counts everything that `split` shows of each document.
pub(super) fn count(
    documents: &[&str],
    split: impl Fn(&str, &mut dyn FnMut(&str)) + Sync,
) -> HashMap<String, Count> {
    documents
        .par_chunks(DOCUMENTS)
        .map(|documents| {
            let mut counts: HashMap<String, Count> = HashMap::new();
            for (document, number) in documents.iter().zip(1..) {
                split(document, &mut |token| match counts.get_mut(token) {
                    Some(count) => {
                        count.times += 1;
                        count.documents += u32::from(count.last != number);
                        count.last = number;
                    }
                    None => {
                        counts.insert(token.to_string(), Count { times: 1, documents: 1, last: number });
                    }
                });
            }
            counts
        })
        .reduce(HashMap::new, |a, b| {
            let (mut more, fewer) = if a.len() >= b.len() { (a, b) } else { (b, a) };
            for (token, count) in fewer {
                let sum = more.entry(token).or_default();
                sum.times += count.times;
                sum.documents += count.documents;
            }
            more
        })
}

/// Those that reach `least` by `measure`, the most frequent first and then by the alphabet; `most` of them at most.
pub(super) fn choose(
    counts: HashMap<String, Count>,
    measure: impl Fn(&Count) -> u64 + Sync,
    least: u64,
    most: Option<usize>,
) -> Vec<(String, Count)> {
    let mut chosen: Vec<(String, Count)> =
        counts.into_iter().filter(|(_, count)| measure(count) >= least).collect();
    chosen.par_sort_unstable_by(|(a, x), (b, y)| measure(y).cmp(&measure(x)).then_with(|| a.cmp(b)));
    chosen.truncate(most.unwrap_or(usize::MAX));
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::words::each_word;
    use super::*;

    #[test]
    fn times_and_documents_are_counted_over_all_threads() {
        let text: Vec<String> = (0..2000).map(|i| format!("all all {}", i % 7)).collect();
        let documents: Vec<&str> = text.iter().map(String::as_str).collect();
        let counts = count(&documents, |text, see| each_word(text, see));
        assert_eq!((counts["all"].times, counts["all"].documents), (4000, 2000));
        assert_eq!((counts["0"].times, counts["6"].documents), (286, 285));
        let chosen = choose(counts, |count| count.documents.into(), 286, None);
        let words: Vec<&str> = chosen.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(words, ["all", "0", "1", "2", "3", "4"]);
    }

    #[test]
    fn equals_are_chosen_by_the_alphabet() {
        let counts = count(&["b a c b"], |text, see| each_word(text, see));
        let chosen = choose(counts, |count| count.times, 1, Some(2));
        assert_eq!(chosen.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }
}
