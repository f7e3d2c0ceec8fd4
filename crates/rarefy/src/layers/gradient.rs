//! What a backward pass says of a parameter.

use super::Parameter;
use crate::sparse::Touched;

/// The gradient of a parameter: it stands beside the network, so that several passes can go through one network at once.
#[derive(Debug, Clone, Default)]
pub struct Gradient {
    /// One number for each stored value; none for what is not trained.
    pub values: Vec<f32>,
    /// Where only few are other than 0, the slots of these: an optimizer then moves those weights alone. `None` if any may be.
    pub touched: Option<Touched>,
}

impl Gradient {
    /// Zeros, if the parameter is trained.
    pub fn zeros(parameter: &Parameter) -> Gradient {
        let mut gradient = Gradient::default();
        gradient.fit(parameter);
        gradient
    }

    /// Makes room for as many numbers as the parameter has, if it is trained.
    pub fn fit(&mut self, parameter: &Parameter) {
        let length = if parameter.is_trained() { parameter.weights.values().len() } else { 0 };
        self.values.resize(length, 0.0);
    }

    /// The numbers that may be other than 0.
    pub fn numbers(&self) -> impl Iterator<Item = f32> + '_ {
        let (all, some) = match &self.touched {
            None => (&self.values[..], &[][..]),
            Some(touched) => (&[][..], &touched[..]),
        };
        all.iter().chain(some.iter().flat_map(|slots| &self.values[slots.clone()])).copied()
    }

    /// Changes the numbers that may be other than 0.
    pub fn change(&mut self, change: impl Fn(&mut f32)) {
        match &self.touched {
            None => self.values.iter_mut().for_each(change),
            Some(touched) => {
                touched.iter().for_each(|slots| self.values[slots.clone()].iter_mut().for_each(&change));
            }
        }
    }

    /// The numbers, and the slots of those that this pass makes other than 0, which begin as none.
    pub(super) fn touch(&mut self) -> (&mut [f32], &mut Touched) {
        let touched = self.touched.get_or_insert_with(|| {
            self.values.fill(0.0);
            Vec::new()
        });
        (&mut self.values, touched)
    }
}
