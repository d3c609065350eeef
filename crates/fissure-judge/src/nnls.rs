//! Non-negative least squares, for a few dozen unknowns.
//!
//! The active-set method of Lawson & Hanson, "Solving Least Squares Problems" (1974), chapter 23, on the normal equations (Bro & De Jong,
//! J. Chemometrics 11, 1997). Normal equations square the condition number, so columns should be on similar scales and not nearly
//! parallel; designed windows keep it near 1.4.

/// A linear model with coefficients that cannot be negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    pub coefficients: Vec<f64>,
    /// Sum of the squared residuals.
    pub squares: f64,
    /// Standard errors by the residuals' scatter; as if the bound at zero were not there, so pessimistic for coefficients on it.
    pub errors: Vec<f64>,
    /// Rows less columns: how much the scatter rests on.
    pub degrees: usize,
}

/// Share of itself by which the diagonal is raised when columns are twins.
const RIDGE: f64 = 1e-6;

/// Minimises |rows x - y|. Columns that nothing tells apart share alike, with errors that say so (ridge regression: Hoerl & Kennard,
/// Technometrics 12, 1970). None when a column is empty, or rows are not more than columns.
pub fn solve(rows: &[Vec<f64>], y: &[f64]) -> Option<Solution> {
    let columns = rows.first()?.len();
    let degrees = rows.len().checked_sub(columns).filter(|d| *d > 0)?;
    let mut gram = vec![vec![0.0; columns]; columns];
    let mut moment = vec![0.0; columns];
    for (row, y) in rows.iter().zip(y) {
        for i in 0..columns {
            moment[i] += row[i] * y;
            for j in 0..columns {
                gram[i][j] += row[i] * row[j];
            }
        }
    }
    let inverse = invert(&gram).or_else(|| {
        for (i, row) in gram.iter_mut().enumerate() {
            row[i] *= 1.0 + RIDGE;
        }
        invert(&gram)
    })?;
    let coefficients = active_set(&gram, &moment)?;
    let squares: f64 = rows
        .iter()
        .zip(y)
        .map(|(row, y)| (y - row.iter().zip(&coefficients).map(|(a, x)| a * x).sum::<f64>()).powi(2))
        .sum();
    let variance = squares / degrees as f64;
    let errors = (0..columns).map(|i| (variance * inverse[i][i]).sqrt()).collect();
    Some(Solution { coefficients, squares, errors, degrees })
}

/// The same with some coefficients held at what is given for them; their errors are 0.
pub fn solve_with_held(rows: &[Vec<f64>], y: &[f64], held: &[Option<f64>]) -> Option<Solution> {
    let free: Vec<usize> = (0..held.len()).filter(|&i| held[i].is_none()).collect();
    let known = |row: &[f64]| row.iter().zip(held).map(|(a, x)| a * x.unwrap_or(0.0)).sum::<f64>();
    let left: Vec<f64> = rows.iter().zip(y).map(|(row, y)| y - known(row)).collect();
    let part: Vec<Vec<f64>> = rows.iter().map(|row| free.iter().map(|&i| row[i]).collect()).collect();
    let found = solve(&part, &left)?;
    let mut coefficients: Vec<f64> = held.iter().map(|x| x.unwrap_or(0.0)).collect();
    let mut errors = vec![0.0; held.len()];
    for (place, &i) in free.iter().enumerate() {
        (coefficients[i], errors[i]) = (found.coefficients[place], found.errors[place]);
    }
    Some(Solution { coefficients, errors, ..found })
}

fn active_set(gram: &[Vec<f64>], moment: &[f64]) -> Option<Vec<f64>> {
    let columns = moment.len();
    let mut x = vec![0.0; columns];
    let mut free = vec![false; columns];
    let scale = moment.iter().fold(0.0_f64, |most, m| most.max(m.abs()));
    // Each round frees the coefficient that pulls hardest; Lawson & Hanson prove that it ends, rounding alone may need the limit.
    for _ in 0..3 * columns {
        let pull = |i: usize, x: &[f64]| moment[i] - (0..columns).map(|j| gram[i][j] * x[j]).sum::<f64>();
        let hardest = (0..columns).filter(|&i| !free[i]).max_by(|&a, &b| pull(a, &x).total_cmp(&pull(b, &x)));
        match hardest {
            Some(i) if pull(i, &x) > 1e-10 * scale => free[i] = true,
            _ => break,
        }
        loop {
            let target = least_squares(gram, moment, &free)?;
            let stuck: Vec<usize> = (0..columns).filter(|&i| free[i] && target[i] <= 0.0).collect();
            if stuck.is_empty() {
                x = target;
                break;
            }
            // Go towards the target until the first coefficient reaches zero, and hold it there.
            let step = stuck.iter().map(|&i| x[i] / (x[i] - target[i])).fold(1.0, f64::min);
            for i in 0..columns {
                x[i] += step * (target[i] - x[i]);
                if free[i] && target[i] <= 0.0 && x[i] <= 1e-12 * x.iter().fold(0.0, |m: f64, v| m.max(*v)) {
                    free[i] = false;
                    x[i] = 0.0;
                }
            }
            if let Some(&i) = stuck.iter().find(|_| stuck.iter().all(|&i| free[i])) {
                free[i] = false;
                x[i] = 0.0;
            }
        }
    }
    Some(x)
}

/// Least squares over the free columns, zero elsewhere.
fn least_squares(gram: &[Vec<f64>], moment: &[f64], free: &[bool]) -> Option<Vec<f64>> {
    let chosen: Vec<usize> = (0..free.len()).filter(|&i| free[i]).collect();
    let part: Vec<Vec<f64>> = chosen.iter().map(|&i| chosen.iter().map(|&j| gram[i][j]).collect()).collect();
    let inverse = invert(&part)?;
    let mut x = vec![0.0; free.len()];
    for (row, &i) in chosen.iter().enumerate() {
        x[i] = chosen.iter().enumerate().map(|(column, &j)| inverse[row][column] * moment[j]).sum();
    }
    Some(x)
}

/// Inverse of a symmetric positive definite matrix by Gauss-Jordan with pivoting on rows. None when it is singular.
fn invert(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    let mut left = matrix.to_vec();
    let mut right: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| left[a][column].abs().total_cmp(&left[b][column].abs()))?;
        // Relative to what stood on the diagonal: columns may be in different units.
        if left[pivot][column].abs() <= 1e-12 * matrix[column][column].abs() || matrix[column][column] == 0.0
        {
            return None;
        }
        left.swap(column, pivot);
        right.swap(column, pivot);
        let divisor = left[column][column];
        for j in 0..n {
            left[column][j] /= divisor;
            right[column][j] /= divisor;
        }
        for i in (0..n).filter(|&i| i != column) {
            let factor = left[i][column];
            for j in 0..n {
                left[i][j] -= factor * left[column][j];
                right[i][j] -= factor * right[column][j];
            }
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_few_rows_or_an_empty_column_are_no_answer() {
        assert_eq!(solve(&[vec![1.0]], &[1.0]), None);
        assert_eq!(solve(&[vec![1.0, 0.0], vec![2.0, 0.0], vec![3.0, 0.0]], &[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn two_routes_that_always_came_together_left_all_routes_without_a_cost() {
        // Columns: one of its own, and two that are always asked for together. A hundredth of noise.
        let rows = vec![vec![1.0, 5.0, 5.0], vec![9.0, 1.0, 1.0], vec![3.0, 7.0, 7.0], vec![6.0, 2.0, 2.0]];
        let noise = [1.01, 0.99, 1.01, 0.99];
        let y: Vec<f64> =
            rows.iter().zip(noise).map(|(r, n)| (2.0 * r[0] + 3.0 * (r[1] + r[2])) * n).collect();
        let found = solve(&rows, &y).unwrap();
        let [own, one, other] = found.coefficients[..] else { panic!("{found:?}") };
        assert!((own - 2.0).abs() < 0.2 && found.errors[0] < 0.2, "{found:?}");
        assert!((one + other - 6.0).abs() < 0.2 && (one - other).abs() < 1e-3, "{found:?}");
        assert!(found.errors[1] > one && found.errors[2] > other, "nobody knows which of the two: {found:?}");
    }

    proptest! {
        #[test]
        fn what_was_planted_is_found(
            truth in prop::collection::vec(0.0f64..30.0, 1..12),
            noise in prop::collection::vec(0.1f64..1.0, 40 * 12),
        ) {
            let columns = truth.len();
            let rows: Vec<Vec<f64>> = (0..2 * columns + 3)
                .map(|i| (0..columns).map(|j| noise[i * columns + j] + if i % columns == j { 5.0 } else { 0.0 }).collect())
                .collect();
            let y: Vec<f64> = rows.iter().map(|r| r.iter().zip(&truth).map(|(a, x)| a * x).sum()).collect();
            let found = solve(&rows, &y).unwrap();
            for (x, truth) in found.coefficients.iter().zip(&truth) {
                prop_assert!((x - truth).abs() < 1e-6, "{found:?}");
            }
        }

        /// The Karush-Kuhn-Tucker conditions: no coefficient is negative, and none at zero would rather be positive.
        #[test]
        fn the_answer_cannot_be_improved(
            cells in prop::collection::vec(-1.0f64..1.0, 60), y in prop::collection::vec(-5.0f64..5.0, 12),
        ) {
            let rows: Vec<Vec<f64>> = cells.chunks(5).map(<[f64]>::to_vec).collect();
            let Some(found) = solve(&rows, &y) else { return Ok(()) };
            let left: Vec<f64> = rows.iter().zip(&y)
                .map(|(r, y)| y - r.iter().zip(&found.coefficients).map(|(a, x)| a * x).sum::<f64>()).collect();
            for j in 0..5 {
                let pull: f64 = rows.iter().zip(&left).map(|(r, e)| r[j] * e).sum();
                prop_assert!(found.coefficients[j] >= 0.0);
                prop_assert!(pull < 1e-6, "coefficient {j} pulls by {pull}: {found:?}");
                prop_assert!(found.coefficients[j] == 0.0 || pull.abs() < 1e-6, "coefficient {j} pulls by {pull}: {found:?}");
            }
        }
    }
}
