//! Text from a language model: the next token drawn from its prediction, put behind those before, and so on. When the context is
//! full the oldest token leaves it.
//!
//! ```text
//! p(token) = softmax(logits / temperature), of the `top_k` likeliest if that is given; temperature 0 takes the likeliest
//! ```
//! Each draw is named by the seed and its number, so the same seed gives the same text.

use std::borrow::Cow;

use crate::data::text::{BEGIN, END, PAD, TextCoding, Tokenizer, UNKNOWN};
use crate::data::{Preparation, Task};
use crate::kernels::Isa;
use crate::layers::{Network, Pass};
use crate::random::{Purpose, Stream};
use crate::tiles::Tiles;
use crate::{Error, Result};

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// By what the logits are divided: below 1 likely tokens become likelier, 0 takes the likeliest.
    pub temperature: f64,
    /// Of how many of the likeliest tokens one is drawn; `None` for all.
    pub top_k: Option<usize>,
    /// Names the draws.
    pub seed: u64,
}

impl Sampling {
    /// Checks the numbers.
    ///
    /// # Errors
    /// A temperature below 0 or not finite, or no token to draw from.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let problem = format!("{} is not a number from 0 on, such as 0.8", self.temperature);
            return Err(Error::setting("temperature", problem));
        }
        if self.top_k == Some(0) {
            return Err(Error::setting("top_k", "0 leaves no token to draw; give at least 1"));
        }
        Ok(())
    }

    /// Draws the `number`th token. What stands for no text is never drawn.
    fn draw(&self, logits: &[f32], number: u64) -> u32 {
        let is_drawn = |id: &u32| ![PAD, UNKNOWN, BEGIN].contains(id);
        let mut ids: Vec<u32> = (0..logits.len() as u32).filter(is_drawn).collect();
        // The likeliest first; of tokens as likely, the more frequent one.
        ids.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        if self.temperature == 0.0 {
            return ids[0];
        }
        ids.truncate(self.top_k.unwrap_or(ids.len()));
        let highest = f64::from(logits[ids[0] as usize]);
        let weight = |id: &u32| ((f64::from(logits[*id as usize]) - highest) / self.temperature).exp();
        let weights: Vec<f64> = ids.iter().map(weight).collect();
        let uniform = f64::from(Stream::new(self.seed, Purpose::Generate, 0, number).uniform());
        let mut left = uniform * weights.iter().sum::<f64>();
        for (&id, weight) in ids.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        ids[0]
    }
}

/// A language model that writes.
pub struct Writer<'a> {
    network: Cow<'a, Network>,
    isa: Isa,
    tokenizer: &'a Tokenizer,
    context: usize,
}

impl<'a> Writer<'a> {
    /// A writer for a model.
    ///
    /// # Errors
    /// If it is no language model.
    pub fn new(network: &'a Network, preparation: &'a Preparation, isa: Isa) -> Result<Writer<'a>> {
        match (preparation.task, preparation.text()) {
            (Task::LanguageModel, Some(TextCoding::Tokens { tokenizer, context, .. })) => {
                let network = network.with_rounded_weights(isa);
                Ok(Writer { network, isa, tokenizer, context: *context })
            }
            _ => {
                let problem = "the model predicts no text; train one with data.task = \"language-model\"";
                Err(Error::setting("generate", problem))
            }
        }
    }

    /// The tokens of the beginning of a text.
    ///
    /// # Errors
    /// If it is empty, holds what the model does not know, or is longer than the context.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        let wrong = |problem: String| Err(Error::setting("prompt", problem));
        let ids = self.tokenizer.encode(text);
        if ids.is_empty() {
            return wrong("holds no token; give some text, or leave it out to begin a new one".into());
        }
        let unknown = self.tokenizer.unknown(text);
        if !unknown.is_empty() {
            let shown: Vec<String> = unknown.iter().take(10).map(|token| format!("{token:?}")).collect();
            return wrong(format!("the model does not know {}; leave that out", shown.join(", ")));
        }
        if ids.len() > self.context {
            return wrong(format!(
                "has {} tokens, and the model reads {} at a time; shorten it",
                ids.len(),
                self.context
            ));
        }
        Ok(ids)
    }

    /// Writes up to `tokens` tokens after those of a prompt, or of a new document if there are none; fewer if the model ends its
    /// document.
    pub fn write(&self, prompt: &[u32], tokens: usize, sampling: &Sampling) -> Vec<u32> {
        let mut buffers = self.network.buffers(1, false);
        let mut input = Tiles::zeros(self.context, 1);
        // A prompt may come from anywhere in a document, as most of what the model was trained on does.
        let mut text = if prompt.is_empty() { vec![BEGIN] } else { prompt.to_vec() };
        let begin = text.len();
        for number in 0..tokens as u64 {
            let window = &text[text.len().saturating_sub(self.context)..];
            let mut filled = vec![PAD as f32; self.context];
            filled.iter_mut().zip(window).for_each(|(place, &id)| *place = id as f32);
            input.set_sample(0, &filled);
            input.set_lengths([window.len() as u32].into_iter());
            self.network.forward(&Pass::predict(self.isa), &input, &mut buffers);
            let logits = buffers.output().sample(0);
            let vocabulary = self.tokenizer.size();
            let next = sampling.draw(&logits[(window.len() - 1) * vocabulary..][..vocabulary], number);
            if next == END {
                break;
            }
            text.push(next);
        }
        text.split_off(begin)
    }

    /// Tokens as text.
    pub fn text(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(temperature: f64, top_k: Option<usize>) -> Sampling {
        Sampling { temperature, top_k, seed: 3 }
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        //             padding, unknown and begin are never drawn
        let logits = [9.0, 9.0, 9.0, 0.0, 0.0, 3f32.ln(), -50.0];
        let count = |sampling: Sampling| {
            let mut counts = [0; 7];
            (0..4000).for_each(|number| counts[sampling.draw(&logits, number) as usize] += 1);
            counts
        };
        let counts = count(sampling(1.0, None));
        assert!(counts[..3] == [0; 3] && counts[6] == 0, "{counts:?}");
        for (id, expected) in [(3, 800), (4, 800), (5, 2400)] {
            assert!((counts[id] as i64 - expected).abs() < 120, "{counts:?}");
        }
        // At half the temperature odds of 3 to 1 become 9 to 1.
        assert!((count(sampling(0.5, None))[5] as i64 - 4000 * 9 / 11).abs() < 120);
        assert_eq!(count(sampling(0.0, None))[5], 4000);
        let two = count(sampling(1.0, Some(2)));
        assert!(two[4] == 0 && two[3] > 800 && two[3] + two[5] == 4000, "{two:?}");
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        for (sampling, key) in [
            (sampling(-1.0, None), "temperature"),
            (sampling(f64::NAN, None), "temperature"),
            (sampling(1.0, Some(0)), "top_k"),
        ] {
            assert!(sampling.check().unwrap_err().to_string().starts_with(key));
        }
    }
}
