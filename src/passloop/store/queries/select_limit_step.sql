SELECT gate, most FROM limit_steps WHERE pool = ? ORDER BY at DESC LIMIT 1
