"""The cloud behind one seam: `base.Cloud`."""
