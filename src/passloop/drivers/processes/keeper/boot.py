"""What the bare interpreter is given to run: `python -I -S boot.py ORDERS HOME`, two inherited descriptors.

It makes the files beside it importable as a package of their own, so that nothing else of passloop is loaded.
"""

from __future__ import annotations

import os
import sys
import types

package = types.ModuleType("keeper")
package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
sys.modules["keeper"] = package
zygote = __import__("keeper.zygote", fromlist=["main"])
zygote.main(orders=int(sys.argv[1]), home=int(sys.argv[2]))
