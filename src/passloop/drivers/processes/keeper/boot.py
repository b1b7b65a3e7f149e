"""What the bare interpreter is given to run: `python -I -S boot.py ORDERS HOME FILES`: two inherited
descriptors, and the soft limit of open files for what is run, 0 for the one that it has.

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
zygote.main(orders=int(sys.argv[1]), home=int(sys.argv[2]), open_files=int(sys.argv[3]))
